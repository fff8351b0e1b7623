using AwsVpcCni.Core.Ec2Quota;
using AwsVpcCni.Core.Pool;
using AwsVpcCni.Grains.Cluster;
using AwsVpcCni.Grains.Node;
using AwsVpcCni.Tests.Simulation.Cluster;

namespace AwsVpcCni.Tests.Simulation.Checkers;

/// <summary>What operators have switched off is not begun: by no silo that has heard of it, and by none long after it was stored.</summary>
/// <remarks>Not checked: what was sent before and comes to effect later.</remarks>
internal sealed class SwitchedOff(World world)
{
    private static readonly TimeSpan AllHear = TimeSpan.FromSeconds(150); // Five seconds when nothing is wrong; a silo can be cut off for half a minute, twice in a row.

    private readonly Dictionary<string, (OperatorSwitch Switch, TimeSpan Since)> _stored = new(StringComparer.Ordinal);

    /// <summary>Calls that were begun while something was switched off somewhere.</summary>
    public int Seen { get; private set; }

    public void Stored(ClusterDocument document)
    {
        foreach (var ended in _stored.Keys.Except(document.Switches.Select(one => one.Target)).ToArray())
        {
            _stored.Remove(ended);
        }

        foreach (var one in document.Switches.Where(one => _stored.GetValueOrDefault(one.Target).Switch?.Mode != one.Mode))
        {
            _stored[one.Target] = (one, world.Scheduler.Now);
        }
    }

    /// <summary>The store has gone back.</summary>
    public void Restored()
    {
        _stored.Clear();
        Stored(world.DocumentOf<ClusterDocument>("cluster", World.ClusterName) ?? new ClusterDocument());
    }

    /// <summary>A call is about to be sent.</summary>
    /// <param name="target">An interface or an attachment.</param>
    /// <param name="subnetId">Of an interface that is to be made.</param>
    public void Begins(Activation by, Ec2Action action, string target, string? subnetId)
    {
        if (!OperatorSwitches.IsChange(action))
        {
            return;
        }

        var eni = world.Vpc.Enis.FirstOrDefault(one => one.Id == target || one.Attachment?.Id == target);
        var node = by.GrainInstance is NodeGrain ? by.GrainId.Key.ToString() : eni?.Tags.GetValueOrDefault(NodeGrain.NodeTag);
        subnetId ??= eni?.Subnet.Id;
        Seen += _stored.Count > 0 ? 1 : 0;
        var old = _stored.Values.Where(one => world.Scheduler.Now - one.Since > AllHear).Select(one => one.Switch);
        if ((by.Silo.Settings.SwitchOf(node, subnetId) ?? OperatorSwitches.InForce([.. old], node, subnetId)) is { } off && !OperatorSwitches.Permits(off.Mode, action))
        {
            world.Scheduler.Fail($"SWITCHED OFF: {by.Lane.Name} begins {action} {target} in {subnetId}, and {off}");
        }
    }
}
