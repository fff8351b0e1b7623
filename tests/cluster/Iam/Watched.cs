using System.Reflection;
using Xunit;

namespace AwsVpcCni.Tests.Cluster.Iam;

/// <summary>Objects that pass calls on and know which methods were called.</summary>
public static class Watched
{
    public static T Of<T>(T inner)
        where T : class
    {
        var watched = DispatchProxy.Create<T, Watching>();
        ((Watching)(object)watched).Inner = inner;
        return watched;
    }

    /// <summary>A method that is new must be called, too; one that its maker is taking away need not.</summary>
    public static void AssertAllCalled<T>(T watched)
        where T : class =>
        Assert.Empty(typeof(T).GetMethods().Where(method => !method.IsSpecialName && !method.IsDefined(typeof(ObsoleteAttribute)))
            .Select(method => method.Name).Except(((Watching)(object)watched).Called));

    /// <summary>Public, since what is made at run time derives from it.</summary>
    public class Watching : DispatchProxy
    {
        internal object Inner { get; set; } = null!;

        internal HashSet<string> Called { get; } = [];

        protected override object? Invoke(MethodInfo? targetMethod, object?[]? args)
        {
            Called.Add(targetMethod!.Name);
            return targetMethod.Invoke(Inner, BindingFlags.DoNotWrapExceptions, null, args, null);
        }
    }
}
