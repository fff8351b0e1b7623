namespace AwsVpcCni.VpcEmulator.Model;

/// <summary>Another cluster in the same VPC: draws addresses and prefixes for its own nodes by count, gives them back, makes interfaces and
/// deletes them, and notices when somebody else touches them.</summary>
/// <param name="cluster">The value of its tag `cluster.k8s.amazonaws.com/name`, as amazon-vpc-cni-k8s sets it.</param>
/// <param name="throttle">The account's buckets, from which its calls are spent too. Null: they cost nothing.</param>
public sealed class Neighbour(Vpc vpc, string cluster, Random random, Throttle? throttle = null)
{
    private const string ClusterTag = "cluster.k8s.amazonaws.com/name";
    private const string InstanceTag = "node.k8s.amazonaws.com/instance_id";
    private readonly SortedDictionary<string, Instance> _nodes = new(StringComparer.Ordinal);
    private readonly SortedDictionary<string, string> _book = new(StringComparer.Ordinal);
    private readonly List<string> _trespasses = [];

    /// <summary>A node of this cluster joins the VPC.</summary>
    public Instance Launch(InstanceDescription description)
    {
        var instance = vpc.Launch(description with { Tags = new Dictionary<string, string>(description.Tags) { [$"kubernetes.io/cluster/{cluster}"] = "owned" } });
        _nodes.Add(instance.Id, instance);
        Note(ours: true);
        return instance;
    }

    /// <summary>One step of its life, at random: one call of EC2's, which may be refused.</summary>
    public void Act()
    {
        vpc.Advance();
        Note(ours: false);
        if (_nodes.Count == 0 || _book.Count == 0)
        {
            return;
        }

        var enis = vpc.Enis.Where(eni => _book.ContainsKey(eni.Id)).ToList();
        var node = _nodes.Values.ElementAt(random.Next(_nodes.Count));
        var eni = enis[random.Next(enis.Count)];
        try
        {
            switch (random.Next(7))
            {
                case 0 or 1: Call("AssignPrivateIpAddresses", () => vpc.AssignPrivateIpAddresses(eni.Id, random.Next(1, 4))); break;
                case 2: Call("AssignPrivateIpAddresses", () => vpc.AssignIpv4Prefixes(eni.Id, 1)); break;
                case 3 when eni.Slots > 1:
                    Call("UnassignPrivateIpAddresses", () => vpc.UnassignPrivateIpAddresses(
                        eni.Id, eni.Addresses.Count > 1 ? [eni.Addresses[^1]] : [], eni.Addresses.Count > 1 ? [] : [eni.Prefixes[^1]]));
                    break;
                case 4: Call("CreateNetworkInterface", () => Create(node)); break;
                case 5 when eni.Attachment is null: Call("AttachNetworkInterface", () => vpc.AttachNetworkInterface(eni.Id, node.Id, vpc.FreeDevice(node))); break;
                case 5: Call("DetachNetworkInterface", () => vpc.DetachNetworkInterface(eni.Attachment!.Id)); break;
                case 6: Call("DeleteNetworkInterface", () => vpc.DeleteNetworkInterface(eni.Id)); break;
                default: break;
            }
        }
        catch (Ec2Exception)
        {
            // Its own trouble: it comes again.
        }

        Note(ours: true);
    }

    /// <summary>What others have done to its interfaces since the beginning: a sentence each. Empty: it was left in peace.</summary>
    public IReadOnlyList<string> Trespasses()
    {
        vpc.Advance();
        Note(ours: false);
        return [.. _trespasses];
    }

    private void Call(string action, Action call)
    {
        throttle?.Take(action, filtered: false);
        call();
    }

    private void Create(Instance node)
    {
        var eni = vpc.CreateNetworkInterface(new CreateEni
        {
            SubnetId = node.Subnet.Id,
            Tags = new Dictionary<string, string> { [ClusterTag] = cluster, [InstanceTag] = node.Id },
        });
        _book.Add(eni.Id, "");
    }

    /// <summary>Compares its book with what is there, and brings it up to date.</summary>
    /// <param name="ours">Whether the differences are its own doing.</param>
    private void Note(bool ours)
    {
        foreach (var eni in _nodes.Values.SelectMany(vpc.EnisOf).Where(_ => ours))
        {
            _book.TryAdd(eni.Id, "");
        }

        foreach (var (id, was) in _book.ToList())
        {
            var now = vpc.FindEni(id) is { } eni ? Shown(eni) : null;
            if (!ours && now != was)
            {
                _trespasses.Add($"{id} of cluster {cluster}: was {was}, is {now ?? "deleted"}.");
            }

            if (now is null)
            {
                _book.Remove(id);
            }
            else
            {
                _book[id] = now;
            }
        }
    }

    /// <summary>All that only its owner changes. A detach that is under way counts as done.</summary>
    private static string Shown(Eni eni) =>
        $"[{string.Join(' ', eni.Addresses)} {string.Join(' ', eni.Prefixes)}] {string.Join(' ', eni.Groups)} "
        + $"{(eni.Attachment is { Status: not AttachmentStatus.Detaching } attachment ? attachment.Id : "detached")} {string.Join(' ', eni.Tags)}";
}
