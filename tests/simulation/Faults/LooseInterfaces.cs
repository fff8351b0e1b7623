using AwsVpcCni.Grains.Node;
using AwsVpcCni.VpcEmulator.Model;

namespace AwsVpcCni.Tests.Simulation.Faults;

/// <summary>Somebody leaves interfaces with the tags of a node of ours, attached to nothing, and attaches such a one to that node just before it is deleted as leaked.</summary>
internal sealed class LooseInterfaces(Swarm faults, Vpc vpc, HashSet<string> forgotten)
{
    private readonly Dictionary<string, string> _madeFor = []; // By interface; nobody enumerates it.

    /// <summary>One more, as if the instance's node had made it.</summary>
    public void Leave(Instance instance)
    {
        try
        {
            var eni = vpc.CreateNetworkInterface(new CreateEni
            {
                SubnetId = instance.Subnet.Id,
                Tags = new SortedDictionary<string, string>(StringComparer.Ordinal)
                {
                    [NodeGrain.ClusterTag] = World.ClusterName, [NodeGrain.NodeTag] = instance.Id, [NodeGrain.IntentTag] = $"{instance.Id}/hands",
                },
            });
            _madeFor[eni.Id] = instance.Id;
            forgotten.Add(eni.Id);
        }
        catch (Ec2Exception)
        {
            // The subnet is dry.
        }
    }

    /// <summary>EC2 is about to be asked to delete it.</summary>
    public void Deleting(string eniId)
    {
        if (_madeFor.TryGetValue(eniId, out var instanceId) && vpc.FindEni(eniId) is { Attachment: null } && vpc.FindInstance(instanceId) is { } instance && faults.Strikes(FaultKind.HandsAttach))
        {
            try
            {
                vpc.AttachNetworkInterface(eniId, instanceId, Enumerable.Range(1, 15).Except(vpc.EnisOf(instance).Select(eni => eni.Attachment!.DeviceIndex)).First());
            }
            catch (Ec2Exception)
            {
                // The instance has as many as it can have.
            }
        }
    }
}
