using System.Net;

namespace AwsVpcCni.VpcEmulator.Model;

/// <content>Instances: launched, stopped, started, terminated.</content>
public sealed partial class Vpc
{
    /// <summary>Launches an instance; it runs at once, with a primary interface that dies with it.</summary>
    /// <exception cref="Ec2Exception">EC2 refuses: unknown subnet or group, or an address that is not free.</exception>
    /// <exception cref="InvalidDataException">The description names an unknown type, or an id or a name that is taken.</exception>
    public Instance Launch(InstanceDescription description)
    {
        Advance();
        var id = description.Id ?? NewId("i-");
        var name = description.Name ?? description.Tags.GetValueOrDefault("Name") ?? id;
        var type = InstanceType.Find(description.Type)
            ?? throw new InvalidDataException($"{id}: instance type `{description.Type}` is not in instance-limits.json.");
        if (_instances.ContainsKey(id) || _instances.Values.Any(other => other.Name == name && other.State != InstanceState.Terminated))
        {
            throw new InvalidDataException($"{id}: an instance with this id or the name `{name}` is there already.");
        }

        var eni = NewEni(new CreateEni
        {
            SubnetId = description.Subnet,
            Primary = description.Address is { } address ? IPAddress.Parse(address) : null,
            Secondary = [.. description.SecondaryAddresses.Select(IPAddress.Parse)],
            Prefixes = [.. description.Prefixes.Select(prefix => IPNetwork.Parse(prefix))],
            Groups = description.SecurityGroups,
        });
        if (eni.Slots > type.Ipv4PerEni || (!type.TakesPrefixes && eni.Prefixes.Count > 0)
            || description.FurtherInterfaces.Count >= type.Cards[0] || description.FurtherInterfaces.Any(further => further.SecondaryAddresses.Count >= type.Ipv4PerEni))
        {
            Forget(eni);
            throw Ec2Exception.Of("PrivateIpAddressLimitExceeded");
        }

        var instance = new Instance
        {
            Sequence = ++_sequence,
            Id = id,
            ReservationId = NewId("r-"),
            Name = name,
            Type = type,
            Subnet = eni.Subnet,
            Role = description.Role,
            LaunchedAt = _time.GetUtcNow(),
            Groups = eni.Groups,
        };
        Replace(instance.Tags, description.Tags);
        _instances.Add(id, instance);
        Happened?.Invoke(new VpcEvent.InstanceLaunched(instance));
        Bind(eni, instance, 0, 0).DeleteOnTermination = true; // Attached notes the change.
        Attached(eni);
        foreach (var (index, further) in description.FurtherInterfaces.Index())
        {
            var one = NewEni(new CreateEni
            {
                SubnetId = description.Subnet,
                Primary = further.Address is { } its ? IPAddress.Parse(its) : null,
                Secondary = [.. further.SecondaryAddresses.Select(IPAddress.Parse)],
                Groups = description.SecurityGroups,
            });
            Bind(one, instance, index + 1, 0).DeleteOnTermination = true;
            Attached(one);
        }

        return instance;
    }

    /// <summary>Stops an instance. It keeps its interfaces and all they hold, and may get or lose some. A fabric does nothing: who stops an
    /// instance ends its programs.</summary>
    public void Stop(string instanceId)
    {
        Advance();
        var instance = FindInstance(instanceId) ?? throw Ec2Exception.NoInstance(instanceId);
        Turn(instance, InstanceState.Running, InstanceState.Stopping, InstanceState.Stopped, _times.StopMs);
    }

    /// <summary>Starts a stopped instance again.</summary>
    public void Start(string instanceId)
    {
        Advance();
        var instance = FindInstance(instanceId) ?? throw Ec2Exception.NoInstance(instanceId);
        Turn(instance, InstanceState.Stopped, InstanceState.Pending, InstanceState.Running, _times.StartMs);
    }

    /// <summary>Ends an instance: what is to die with it dies, its other interfaces become available and stay.</summary>
    public void Terminate(string instanceId)
    {
        Advance();
        var instance = FindInstance(instanceId) ?? throw Ec2Exception.NoInstance(instanceId);
        if (instance.State is InstanceState.ShuttingDown or InstanceState.Terminated)
        {
            return;
        }

        instance.State = InstanceState.ShuttingDown;
        After(Spread(_times.TerminateMs), () =>
        {
            foreach (var eni in EnisOf(instance).ToList())
            {
                var dies = eni.Attachment!.DeleteOnTermination;
                Detached(eni);
                if (dies)
                {
                    Forget(eni);
                }
            }

            instance.State = InstanceState.Terminated;
            Happened?.Invoke(new VpcEvent.InstanceTerminated(instance));
            After(_times.TerminatedVisibleMinutes * 60_000L, () => _instances.Remove(instance.Id));
        });
    }

    /// <summary>A repeat is no error.</summary>
    private void Turn(Instance instance, InstanceState from, InstanceState through, InstanceState to, int milliseconds)
    {
        if (instance.State == through || instance.State == to)
        {
            return;
        }

        if (instance.State != from)
        {
            throw new Ec2Exception("IncorrectInstanceState",
                $"The instance '{instance.Id}' is not in a state from which it can be {(to == InstanceState.Stopped ? "stopped" : "started")}.");
        }

        instance.State = through;
        After(Spread(milliseconds), () => instance.State = instance.State == through ? to : instance.State);
    }
}
