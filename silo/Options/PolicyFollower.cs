using System.Collections.Immutable;
using AwsVpcCni.Core.Pool;
using AwsVpcCni.Grains;
using AwsVpcCni.Grains.Cluster;
using AwsVpcCni.Silo.Kubernetes;
using Microsoft.Extensions.Options;
using Microsoft.Extensions.Primitives;

namespace AwsVpcCni.Silo.Options;

/// <summary>Has this silo's grains follow the policy: what operators have set in the cluster's grain, else the section <c>Pool</c>, which is
/// read again when its file changes.</summary>
/// <remarks>A change made through another silo is seen within <see cref="Period"/>. While the cluster's grain does not answer, what held
/// before holds on.</remarks>
/// <param name="ofNodes">What nodes hold by their labels and ENIConfigs; null: where no Kubernetes is.</param>
internal sealed partial class PolicyFollower(
    IConfiguration configuration, IOptionsFactory<PoolOptions> options, IGrainFactory grains, ClusterSettings settings, TimeProvider time, ILogger<PolicyFollower> logger,
    NodePolicies? ofNodes = null) : BackgroundService
{
    private static readonly TimeSpan Period = TimeSpan.FromSeconds(5);

    private readonly Lock _lock = new();
    private PoolPolicy _ofSettings = settings.Pool;
    private ImmutableArray<OperatorSwitch> _switches = settings.Switches;
    private ClusterPolicies? _ofOperators;
    private bool _isAway;

    /// <summary>Reads what the operators have set, and follows it even when its version is lower: the store may have been restored. Only when
    /// something else has been taken in meanwhile, as the answer to a change, does the higher version hold.</summary>
    public async Task<ClusterPolicies> ReadAsync(TimeSpan deadline, CancellationToken stopping)
    {
        ClusterPolicies? before;
        lock (_lock)
        {
            before = _ofOperators;
        }

        var read = await grains.GetGrain<IClusterGrain>(settings.ClusterName).ReadAsync().WaitAsync(deadline, time, stopping);
        lock (_lock)
        {
            if (_ofOperators is not { } known || read.Version > known.Version || (ReferenceEquals(known, before) && (read.Version, read.Last) != (known.Version, known.Last)))
            {
                Take(read);
            }
        }

        return read;
    }

    /// <summary>What holds after a change, unless something newer is known.</summary>
    public void Follow(ClusterPolicies changed)
    {
        lock (_lock)
        {
            if (_ofOperators is not { } known || changed.Version > known.Version)
            {
                Take(changed);
            }
        }
    }

    /// <summary>The loop itself; the host starts it on the thread pool.</summary>
    public async Task FollowAsync(CancellationToken stopping)
    {
        foreach (var warning in VpcCniEnvironment.Read(configuration).Warnings)
        {
            LogWithoutEffect(warning);
        }

        using var changes = ChangeToken.OnChange(configuration.GetReloadToken, ReadSettings);
        ofNodes?.Changed += FollowNodes;
        try
        {
            ReadSettings(); // What has changed since the start.
            using var timer = new PeriodicTimer(Period, time);
            do
            {
                await AskAsync(stopping);
            }
            while (!stopping.IsCancellationRequested && await timer.WaitForNextTickAsync(stopping));
        }
        finally
        {
            ofNodes?.Changed -= FollowNodes;
        }
    }

    private void FollowNodes()
    {
        lock (_lock)
        {
            Refresh();
        }
    }

    /// <inheritdoc/>
    protected override Task ExecuteAsync(CancellationToken stoppingToken) => FollowAsync(stoppingToken);

    private async Task AskAsync(CancellationToken stopping)
    {
        try
        {
            await ReadAsync(Period, stopping);
            _isAway = false;
        }
        catch (OperationCanceledException) when (stopping.IsCancellationRequested)
        {
            // The loop sees it at its next wait.
        }
        catch (Exception e)
        {
            // Whatever the grain throws, the next question may find it well; nodes go on with what held before.
            if (!_isAway)
            {
                LogAway(settings.ClusterName, e.GetBaseException().Message);
            }

            _isAway = true;
        }
    }

    private void ReadSettings()
    {
        try
        {
            // Made anew: a monitor of the options may hear of the change later than this does, and would still give the old ones.
            var next = options.Create(Microsoft.Extensions.Options.Options.DefaultName).ToPolicy();
            lock (_lock)
            {
                settings.PoolOfSettings = _ofSettings = next;
                Apply();
            }
        }
        catch (Exception e) when (e is OptionsValidationException or InvalidOperationException)
        {
            LogRefused(e.Message);
        }
    }

    private void Take(ClusterPolicies policies)
    {
        _ofOperators = policies;
        Apply();
    }

    private void Apply()
    {
        Refresh();
        LogFollows(settings.Pool, _ofOperators?.Nodes.Count ?? 0, _ofOperators?.Version ?? 0, settings.Switches.IsEmpty ? "nothing" : string.Join("; ", settings.Switches));
    }

    private void Refresh()
    {
        var set = _ofOperators?.Nodes ?? ImmutableSortedDictionary<string, PoolPolicy>.Empty;
        settings.Pool = _ofOperators?.Pool ?? _ofSettings;
        settings.NodePools = ofNodes?.Of(settings.Pool, set) ?? set;
        if (_ofOperators is { } operators)
        {
            // A grain on an older silo, while the cluster is upgraded, knows none: what held before holds on.
            _switches = operators.Switches ?? (_switches == OperatorSwitches.NotRead ? [] : _switches);
        }

        settings.Switches = ofNodes?.WhileUnknown(settings.Pool, set) is { } own ? _switches.Add(own) : _switches;
    }

    [LoggerMessage(EventId = 2900, Level = LogLevel.Warning, Message = "{Warning}")]
    private partial void LogWithoutEffect(string warning);

    [LoggerMessage(EventId = 2901, Level = LogLevel.Information, Message = "The pool's policy is {Policy}; {Nodes} nodes or labels have one of their own; switched off is: {Switches} (version {Version}).")]
    private partial void LogFollows(PoolPolicy policy, int nodes, long version, string switches);

    [LoggerMessage(EventId = 2902, Level = LogLevel.Error, Message = "The changed settings are refused, the pool's policy stays as it was: {Text}")]
    private partial void LogRefused(string text);

    [LoggerMessage(EventId = 2903, Level = LogLevel.Warning, Message = "The cluster's grain {Cluster} does not answer: {Why}. The pool's policy stays as it was until it does.")]
    private partial void LogAway(string cluster, string why);
}
