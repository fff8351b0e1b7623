using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Contracts;

namespace AwsVpcCni.Tests.Cluster.Silos;

/// <summary>Who has which address, in the whole cluster: told by whoever has got or given up one, and asked by nobody who decides.</summary>
/// <remarks>A gap between free and claim is measured from before the address could be claimed again until after it was, so it is never found shorter than it is.
/// Of one that is too short by less than the time of these two calls nothing is seen.</remarks>
/// <param name="cooldown">That an address must have rested since another sandbox had it.</param>
internal sealed class Register(TimeSpan cooldown)
{
    private readonly Lock _lock = new();
    private readonly Dictionary<Ip, Held> _held = [];
    private readonly Dictionary<Ip, long> _freed = [];
    private readonly List<string> _wrong = [];

    /// <summary>What must not have happened.</summary>
    public IReadOnlyList<string> Wrong
    {
        get
        {
            lock (_lock)
            {
                return [.. _wrong];
            }
        }
    }

    /// <summary>Addresses that were claimed though another sandbox had them.</summary>
    public int Doubled { get; private set; }

    /// <summary>How many claims have been of an address that a pod had had before.</summary>
    public int Reused { get; private set; }

    /// <summary>What is held now. The same object as long as it is the same claim.</summary>
    public Dictionary<Ip, Held> Now()
    {
        lock (_lock)
        {
            return new Dictionary<Ip, Held>(_held);
        }
    }

    public void Claim(string node, SandboxKey sandbox, Ip address)
    {
        lock (_lock)
        {
            var claim = new Held(node, sandbox);
            if (_held.TryGetValue(address, out var holder))
            {
                Doubled++;
                _wrong.Add($"{address} is on {claim} and on {holder}");
            }

            if (_freed.TryGetValue(address, out var freed))
            {
                Reused++;
                if (TimeProvider.System.GetElapsedTime(freed) is var rested && rested < cooldown)
                {
                    _wrong.Add($"{address} is on {claim} {rested.TotalSeconds:0.0} s after another had it, and is to rest {cooldown.TotalSeconds} s");
                }
            }

            _held[address] = claim;
        }
    }

    public void Free(Ip address)
    {
        lock (_lock)
        {
            _held.Remove(address);
            _freed[address] = TimeProvider.System.GetTimestamp();
        }
    }

    public void Refute(string what)
    {
        lock (_lock)
        {
            _wrong.Add(what);
        }
    }

    internal sealed class Held(string node, SandboxKey sandbox)
    {
        public string Node => node;

        public SandboxKey Sandbox => sandbox;

        public override string ToString() => $"{sandbox} of {node}";
    }
}
