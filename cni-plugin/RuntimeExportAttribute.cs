namespace System.Runtime;

/// <summary>
/// Gives a method a symbol of the native program, without the prologue that would start the managed runtime.
/// </summary>
/// <remarks>
/// The compiler (ILC) knows this attribute by its full name only; the core library's own is internal. Undocumented for
/// applications: the end-to-end tests run the published program, so an SDK that no longer does it is noticed.
/// </remarks>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class RuntimeExportAttribute(string entryPoint) : Attribute
{
    public string EntryPoint => entryPoint;
}
