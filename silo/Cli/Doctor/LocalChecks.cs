using AwsVpcCni.Silo.Certificates;
using AwsVpcCni.Silo.Hosting;
using AwsVpcCni.Silo.NodeApi;
using AwsVpcCni.Silo.Options;
using Microsoft.Extensions.Options;

namespace AwsVpcCni.Silo.Cli.Doctor;

/// <summary>What a silo needs of its own machine: keys that can be read, ports that are free.</summary>
internal static class LocalChecks
{
    /// <summary>A line for each.</summary>
    public static IEnumerable<Finding> Look(IServiceProvider parts)
    {
        var door = parts.GetRequiredService<IOptions<NodeApiOptions>>().Value;
        yield return string.IsNullOrEmpty(door.TokenKeyPath) ? new Finding("NodeApi:TokenKeyPath", Outcome.Ok, "not set: only tokens of Kubernetes are taken") : Read("NodeApi:TokenKeyPath", () => $"{NodeTokens.Rules(door).IssuerSigningKeys.Count()} public keys in {door.TokenKeyPath}");
        yield return door.CertificatePath is null
            ? new Finding("NodeApi:CertificatePath", Outcome.Ok, "not set: nodes' calls and tokens travel in the clear")
            : Read("NodeApi:CertificatePath", () => Describe(door, parts.GetRequiredService<TimeProvider>()));
        var network = parts.GetRequiredService<IOptions<SiloNetworkOptions>>().Value;
        yield return network.CertificatePath is null
            ? new Finding("Silo:CertificatePath", Outcome.Ok, "not set: whoever reaches Orleans' ports can call any grain")
            : Read("Silo:CertificatePath", () => PeerTls.Check(network));
        foreach (var (setting, where, why) in parts.LookAtPorts())
        {
            yield return new Finding(setting, why is null ? Outcome.Ok : Outcome.Failed, why ?? $"{where} is free");
        }
    }

    private static string Describe(NodeApiOptions door, TimeProvider time)
    {
        var own = OwnCertificate.Read("NodeApi", door.CertificatePath!, door.KeyPath!);
        var (from, until) = (own.Leaf.NotBefore.ToUniversalTime(), own.Leaf.NotAfter.ToUniversalTime());
        var now = time.GetUtcNow().UtcDateTime;
        var text = DoorCertificate.Describe(own);
        return now >= from && now < until ? text : throw new InvalidDataException($"{door.CertificatePath}: {text}: not now. Give a certificate that is.");
    }

    private static Finding Read(string setting, Func<string> read)
    {
        try
        {
            return new Finding(setting, Outcome.Ok, read());
        }
        catch (Exception e) when (e is InvalidDataException or IOException or UnauthorizedAccessException)
        {
            return new Finding(setting, Outcome.Failed, e.Message);
        }
    }
}
