using System.Collections.Immutable;

namespace AwsVpcCni.CniProtocol;

/// <summary>The CNI versions that we speak, oldest first, so that they can be compared.</summary>
public enum CniVersion
{
    /// <summary>0.3.1.</summary>
    V031,

    /// <summary>0.4.0: CHECK.</summary>
    V040,

    /// <summary>1.0.0: a result's addresses no longer name their family.</summary>
    V100,

    /// <summary>1.1.0: GC and STATUS; a link's MTU.</summary>
    V110,
}

/// <summary>Versions as text.</summary>
public static class CniVersions
{
    /// <summary>Oldest first.</summary>
    public static ImmutableArray<CniVersion> All { get; } = [CniVersion.V031, CniVersion.V040, CniVersion.V100, CniVersion.V110];

    /// <summary>As a config writes it.</summary>
    public static string Text(this CniVersion version) => version switch
    {
        CniVersion.V031 => "0.3.1",
        CniVersion.V040 => "0.4.0",
        CniVersion.V100 => "1.0.0",
        CniVersion.V110 => "1.1.0",
        _ => throw new ArgumentOutOfRangeException(nameof(version), version, "Not a CNI version of ours."),
    };

    /// <summary>Null when we do not speak it.</summary>
    public static CniVersion? Parse(string? text) => text switch
    {
        "0.3.1" => CniVersion.V031,
        "0.4.0" => CniVersion.V040,
        "1.0.0" => CniVersion.V100,
        "1.1.0" => CniVersion.V110,
        _ => null,
    };

    /// <summary>The first version of the specification that has the command.</summary>
    public static CniVersion Since(this CniCommand command) => command switch
    {
        CniCommand.Check => CniVersion.V040,
        CniCommand.Gc or CniCommand.Status => CniVersion.V110,
        _ => CniVersion.V031,
    };
}
