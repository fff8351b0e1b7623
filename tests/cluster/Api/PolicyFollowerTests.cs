using System.Collections.Immutable;
using AwsVpcCni.Core.Pool;
using AwsVpcCni.Grains;
using AwsVpcCni.Grains.Cluster;
using AwsVpcCni.Silo.Options;
using AwsVpcCni.Tests.Cluster.NodeApi;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;
using Xunit;

namespace AwsVpcCni.Tests.Cluster.Api;

/// <summary>Which of the cluster's answers a silo follows, and in which order they may come.</summary>
public sealed class PolicyFollowerTests
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(5);
    private readonly ClusterSettings _settings = new("test", "vpc-00000000", "1/eu-west-1", new PoolPolicy { WarmIps = 1 }, new Timing());
    private Task<ClusterPolicies> _answer = null!;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_document_that_went_back_with_its_store_is_followed()
    {
        using var follower = Follower();
        foreach (var (version, by, warmIps) in new[] { (7, "ada", 7), (3, "ada", 3), (3, "bob", 4), (0, null, 1) })
        {
            _answer = Task.FromResult(Policies(version, by, warmIps));
            await follower.ReadAsync(Deadline, Cancellation);
            Assert.Equal(warmIps, _settings.Pool.WarmIps);
        }
    }

    [Fact]
    public async Task A_change_holds_although_a_read_from_before_it_is_answered_later()
    {
        using var follower = Follower();
        _answer = Task.FromResult(Policies(1, "ada", 2));
        await follower.ReadAsync(Deadline, Cancellation);
        var held = new TaskCompletionSource<ClusterPolicies>();
        _answer = held.Task;
        var read = follower.ReadAsync(Deadline, Cancellation);

        follower.Follow(Policies(2, "bob", 9));
        held.SetResult(Policies(1, "ada", 2));
        await read;
        Assert.Equal(9, _settings.Pool.WarmIps);

        follower.Follow(Policies(1, "ada", 2)); // A refused change's answer from an activation that another has overtaken.
        Assert.Equal(9, _settings.Pool.WarmIps);
    }

    private static ClusterPolicies Policies(long version, string? by, int warmIps) => new(
        version, by is null ? null : new PoolPolicy { WarmIps = warmIps }, ImmutableSortedDictionary<string, PoolPolicy>.Empty, by is null ? null : new PolicyNote(version, null, by, "a test", DateTimeOffset.UnixEpoch));

    private PolicyFollower Follower()
    {
        var cluster = Fake.Of<IClusterGrain>((_, _) => _answer);
        return new PolicyFollower(
            new ConfigurationBuilder().Build(), new OptionsFactory<PoolOptions>([], []), Fake.Of<IGrainFactory>((_, _) => cluster), _settings, TimeProvider.System, NullLogger<PolicyFollower>.Instance);
    }
}
