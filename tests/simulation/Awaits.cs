using System.Collections.Frozen;
using System.Collections.Immutable;
using System.Reflection;
using System.Reflection.Metadata;
using System.Reflection.Metadata.Ecma335;
using System.Runtime.CompilerServices;
using AwsVpcCni.Grains.Node;
using AwsVpcCni.Tests.Simulation.Cluster;
using AwsVpcCni.Tests.Simulation.Scheduling;

namespace AwsVpcCni.Tests.Simulation;

/// <summary>Every await of the shipped NodeGrain, as its compiler has written them down.</summary>
internal static class Awaits
{
    private static readonly Guid SteppingInformation = new("54FD2AC5-E925-401A-9C2A-F94F171072F8"); // Portable PDB: where an async method yields.

    /// <summary>By the state machine that waits and its state: where that is in the source.</summary>
    public static readonly FrozenDictionary<(Type Machine, int Await), string> All = Read();

    /// <summary>The same in every process.</summary>
    public static readonly ImmutableArray<(Type Machine, int Await)> InOrder = [.. All.OrderBy(one => one.Value, StringComparer.Ordinal).ThenBy(one => one.Key.Machine.Name, StringComparer.Ordinal).ThenBy(one => one.Key.Await).Select(one => one.Key)];

    /// <summary>Those at which an activation is.</summary>
    public static IEnumerable<(Type Machine, int Await)> Of(Activation activation) => Suspended.On(activation.Lane.Waiting).Where(All.ContainsKey);

    private static FrozenDictionary<(Type, int), string> Read()
    {
        using var provider = MetadataReaderProvider.FromPortablePdbStream(File.OpenRead(Path.ChangeExtension(typeof(NodeGrain).Assembly.Location, "pdb")));
        var reader = provider.GetMetadataReader();
        var found = new Dictionary<(Type, int), string>();
        foreach (var machine in Nested(typeof(NodeGrain)).Where(type => type.IsAssignableTo(typeof(IAsyncStateMachine))))
        {
            var method = MetadataTokens.MethodDefinitionHandle(machine.GetMethod("MoveNext", BindingFlags.Instance | BindingFlags.NonPublic)!.MetadataToken & 0xFFFFFF);
            var stepping = reader.GetCustomDebugInformation(method).Select(reader.GetCustomDebugInformation).Single(one => reader.GetGuid(one.Kind) == SteppingInformation);
            var blob = reader.GetBlobReader(stepping.Value);
            blob.ReadUInt32(); // The catch handler.
            for (var n = 0; blob.RemainingBytes > 0; n++)
            {
                var yields = blob.ReadUInt32();
                blob.ReadUInt32(); // Where it resumes.
                blob.ReadCompressedInteger();
                found[(machine, n)] = Place(reader, method, yields);
            }
        }

        return found.ToFrozenDictionary();
    }

    private static IEnumerable<Type> Nested(Type type) =>
        type.GetNestedTypes(BindingFlags.Public | BindingFlags.NonPublic).SelectMany(inner => Nested(inner).Prepend(inner));

    private static string Place(MetadataReader reader, MethodDefinitionHandle method, uint offset)
    {
        var at = reader.GetMethodDebugInformation(method).GetSequencePoints().Where(point => !point.IsHidden && point.Offset <= offset).MaxBy(point => point.Offset);
        return $"{Path.GetFileName(reader.GetString(reader.GetDocument(at.Document).Name))}:{at.StartLine}:{at.StartColumn}";
    }
}
