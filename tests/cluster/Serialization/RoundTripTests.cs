using System.Collections.Immutable;
using System.Reflection;
using System.Text.Json;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.Core.Ec2Quota;
using AwsVpcCni.Core.Pool;
using AwsVpcCni.Grains.Node;
using AwsVpcCni.Grains.Storage;
using AwsVpcCni.Silo.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Orleans.Serialization;
using Xunit;

namespace AwsVpcCni.Tests.Cluster.Serialization;

/// <summary>Everything that grains say to each other comes over as it was: by the serializer and by the copier.</summary>
public sealed class RoundTripTests
{
    private static readonly ServiceProvider Parts = new ServiceCollection().AddCoreSerializer().BuildServiceProvider();

    public static TheoryData<Type> Types => [.. typeof(INodeGrain).Assembly.GetTypes()
        .Where(type => type.GetCustomAttribute<Orleans.GenerateSerializerAttribute>(inherit: false) is not null && type is { IsAbstract: false, IsGenericType: false } && !type.IsSubclassOf(typeof(Exception)))
        .Concat(typeof(NodeReport).Assembly.GetExportedTypes().Where(IsMessage))
        .OrderBy(type => type.FullName, StringComparer.Ordinal)];

    [Theory]
    [MemberData(nameof(Types))]
    public void A_message_survives(Type type)
    {
        var sample = Sample(type)!;

        // As `object`: the most that the receiver may have to find out by itself.
        var serializer = Parts.GetRequiredService<Serializer>();
        var received = serializer.Deserialize<object>(serializer.SerializeToArray<object>(sample));
        var copied = Parts.GetRequiredService<DeepCopier>().Copy<object>(sample);

        Assert.Equal(type, received?.GetType());
        Assert.Equal(Text(sample), Text(received!));
        Assert.Equal(Text(sample), Text(copied!));
    }

    [Fact]
    public void A_record_of_the_core_is_not_copied_within_a_silo()
    {
        AssignReply reply = new AssignReply.Offered(Ip.Parse("10.0.0.9"), "eni-1");

        Assert.Same(reply, Parts.GetRequiredService<DeepCopier>().Copy(reply));
        Assert.Same(reply, Parts.GetRequiredService<DeepCopier<AssignReply>>().Copy(reply));
    }

    [Theory]
    [MemberData(nameof(Types))]
    public void A_record_of_the_core_cannot_change(Type type)
    {
        if (type.Assembly == typeof(NodeReport).Assembly)
        {
            Assert.All(type.GetProperties().Where(property => property.SetMethod is not null), property => Assert.Contains(
                typeof(System.Runtime.CompilerServices.IsExternalInit), property.SetMethod!.ReturnParameter.GetRequiredCustomModifiers()));
            Assert.All(type.GetProperties(), property => Assert.False(property.PropertyType.IsArray, property.Name));
            Assert.All(type.GetFields(BindingFlags.Public | BindingFlags.Instance), field => Assert.True(field.IsInitOnly, field.Name));
        }
    }

    [Fact]
    public void The_list_of_messages_is_found() => Assert.True(Types.Count > 30, $"{Types.Count} types");

    [Fact] // Simulation, seed 1: without a codec the caller on another silo got "no codec" for an answer.
    public void What_the_store_says_reaches_a_caller_on_another_silo()
    {
        var serializer = Parts.GetRequiredService<Serializer>();

        var received = serializer.Deserialize<object>(serializer.SerializeToArray<object>(new StoreException("node i-1: no answer", new TimeoutException("150 ms"))));

        var exception = Assert.IsType<StoreException>(received);
        Assert.Equal(("node i-1: no answer", "150 ms"), (exception.Message, exception.InnerException?.Message));
    }

    [Fact]
    public void A_reply_survives_as_the_case_that_it_is()
    {
        var serializer = Parts.GetRequiredService<Serializer<AssignReply>>();
        AssignReply[] replies = [new AssignReply.Offered(Ip.Parse("10.0.0.9"), "eni-1"), new AssignReply.NotYet(new Reason(ReasonCode.Cooling, "x")), new AssignReply.Never(new Reason(ReasonCode.NodeFull, "y"))];

        Assert.Equal(replies, replies.Select(reply => serializer.Deserialize(serializer.SerializeToArray(reply))));
    }

    [Fact]
    public void A_reason_or_refusal_of_a_newer_version_is_read_as_another_one()
    {
        var reply = JsonSerializer.Deserialize("""{"verdict":"notYet","why":{"code":"TooEarly","text":"because","next":1}}""", NodeJson.Default.AssignReply);
        var request = JsonSerializer.Deserialize(
            """{"stamp":{"incarnation":1,"number":2},"sandbox":{"containerId":"c","ifName":"eth0"},"pod":{"namespace":"","name":"","uid":""},"refused":[{"address":"10.0.0.9","why":"TooEarly","restedSeconds":null}]}""",
            NodeJson.Default.AssignRequest);

        Assert.Equal(new AssignReply.NotYet(new Reason(ReasonCode.Other, "because")), reply);
        Assert.Equal(new Refusal(Ip.Parse("10.0.0.9"), RefusalCode.Other, null), Assert.Single(request!.Refused));
    }

    [Fact]
    public void What_the_quota_grain_is_asked_and_answers_survives()
    {
        var actions = Parts.GetRequiredService<Serializer<Ec2Action>>();
        var waits = Parts.GetRequiredService<Serializer<ExpectedWaits>>();
        var expected = new ExpectedWaits(TimeSpan.FromSeconds(1.5), TimeSpan.FromMinutes(2));
        var granted = Parts.GetRequiredService<Serializer<IReadOnlyDictionary<Ec2Action, long>>>();
        IReadOnlyDictionary<Ec2Action, long> calls = new Dictionary<Ec2Action, long> { [Ec2Action.DescribeSubnets] = 7 };

        Assert.Equal(Ec2Action.UnassignPrivateIpAddresses, actions.Deserialize(actions.SerializeToArray(Ec2Action.UnassignPrivateIpAddresses)));
        Assert.Equal(expected, waits.Deserialize(waits.SerializeToArray(expected)));
        Assert.Equal(calls, granted.Deserialize(granted.SerializeToArray(calls)));
    }

    private static bool IsMessage(Type type) =>
        type.Namespace is "AwsVpcCni.Core.Contracts" or "AwsVpcCni.Core.Ec2Quota" && type is { IsAbstract: false } &&
        type.GetMethod("PrintMembers", BindingFlags.NonPublic | BindingFlags.Instance) is not null; // Records have one.

    private static string Text(object value) => JsonSerializer.Serialize(value, value.GetType(), JsonSerializerOptions.Web);

    /// <summary>A value in which no member has its default, so that one that gets lost is seen.</summary>
    private static object? Sample(Type type)
    {
        if (Nullable.GetUnderlyingType(type) is { } underlying)
        {
            return Sample(underlying);
        }

        if (type.IsEnum)
        {
            return Enum.GetValues(type).Cast<object>().Last();
        }

        if (type.IsGenericType)
        {
            var arguments = type.GetGenericArguments();
            return type.GetGenericTypeDefinition() == typeof(ImmutableArray<>)
                ? Call(nameof(OneElement), arguments)
                : type.GetGenericTypeDefinition() == typeof(ImmutableSortedDictionary<,>) || type.GetGenericTypeDefinition() == typeof(ImmutableDictionary<,>)
                    ? Call(nameof(OneEntry), arguments)
                    : throw new NotSupportedException($"{type}: teach this test to make one.");
        }

        return type switch
        {
            _ when type == typeof(string) => "text",
            _ when type == typeof(bool) => true,
            _ when type == typeof(int) => 7,
            _ when type == typeof(long) => 7L << 40,
            _ when type == typeof(double) => 1.5,
            _ when type == typeof(TimeSpan) => TimeSpan.FromMilliseconds(1234),
            _ when type == typeof(DateTimeOffset) => new DateTimeOffset(2026, 11, 25, 12, 0, 0, 123, TimeSpan.Zero),
            _ when type == typeof(Ip) => Ip.Parse("fd00::9"),
            _ when type == typeof(Cidr) => Cidr.Parse("10.0.0.0/16"),
            _ when type == typeof(Block) => new Block(Ip.Parse("10.0.0.16"), true),
            _ when type == typeof(AssignReply) => new AssignReply.Offered(Ip.Parse("10.0.0.9"), "eni-1"),
            _ => Filled(type),
        };
    }

    private static object Filled(Type type)
    {
        var constructor = type.GetConstructors().Where(one => one.GetParameters() is not [var only] || only.ParameterType != type).MaxBy(one => one.GetParameters().Length);
        var made = constructor?.Invoke([.. constructor.GetParameters().Select(parameter => Sample(parameter.ParameterType))]) ?? Activator.CreateInstance(type)!;
        foreach (var property in type.GetProperties().Where(property => property.SetMethod is not null))
        {
            property.SetValue(made, Sample(property.PropertyType));
        }

        return made;
    }

    private static object Call(string method, Type[] arguments) =>
        typeof(RoundTripTests).GetMethod(method, BindingFlags.NonPublic | BindingFlags.Static)!.MakeGenericMethod(arguments).Invoke(null, null)!;

    private static ImmutableArray<T> OneElement<T>() => ImmutableArray.Create((T)Sample(typeof(T))!);

    private static ImmutableSortedDictionary<TKey, TValue> OneEntry<TKey, TValue>()
        where TKey : notnull => ImmutableSortedDictionary<TKey, TValue>.Empty.Add((TKey)Sample(typeof(TKey))!, (TValue)Sample(typeof(TValue))!);
}
