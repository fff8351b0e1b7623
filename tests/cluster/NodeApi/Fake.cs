using System.Reflection;

namespace AwsVpcCni.Tests.Cluster.NodeApi;

/// <summary>An interface answered by one function. Made at run time, since Orleans takes every class that implements a grain
/// interface for a grain.</summary>
public class Fake : DispatchProxy
{
    private Func<string, object?[], object?> _answer = (_, _) => null;

    public static T Of<T>(Func<string, object?[], object?> answer)
        where T : class
    {
        var made = Create<T, Fake>();
        ((Fake)(object)made)._answer = answer;
        return made;
    }

    protected override object? Invoke(MethodInfo? targetMethod, object?[]? args) => _answer(targetMethod!.Name, args!);
}
