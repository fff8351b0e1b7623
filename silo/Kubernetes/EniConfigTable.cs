using System.Collections.Immutable;

namespace AwsVpcCni.Silo.Kubernetes;

/// <summary>The cluster's ENIConfigs as last seen. Values in, values out; <see cref="EniConfigWatch"/> fills it.</summary>
internal sealed class EniConfigTable
{
    private ImmutableDictionary<string, EniConfigSpec> _byName = ImmutableDictionary<string, EniConfigSpec>.Empty;

    /// <summary>Something is another than before. Never two calls at once.</summary>
    public event Action? Changed;

    /// <summary>Whether all have been listed once.</summary>
    public bool IsFilled { get; private set; }

    /// <summary>One of them; null for none.</summary>
    public EniConfigSpec? Find(string name) => _byName.GetValueOrDefault(name);

    /// <summary>These are all.</summary>
    public void Reset(IEnumerable<EniConfig> configs)
    {
        _byName = configs.ToImmutableDictionary(config => config.Metadata.Name, config => config.Spec ?? EniConfigSpec.Empty);
        IsFilled = true;
        Changed?.Invoke();
    }

    /// <summary>One that is new or has changed.</summary>
    public void Put(EniConfig config)
    {
        _byName = _byName.SetItem(config.Metadata.Name, config.Spec ?? EniConfigSpec.Empty);
        Changed?.Invoke();
    }

    /// <summary>One that is gone.</summary>
    public void Remove(string name)
    {
        _byName = _byName.Remove(name);
        Changed?.Invoke();
    }
}
