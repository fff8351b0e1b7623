using System.Globalization;
using System.Text.RegularExpressions;
using AwsVpcCni.Tests.Cluster.Certificates;
using AwsVpcCni.Tests.Cluster.Cli;
using AwsVpcCni.Tests.Cluster.Storage;
using Xunit;

namespace AwsVpcCni.Tests.Cluster.Silos;

/// <summary>Orleans' ports of real silos with certificates: who gets in, and who does not.</summary>
[Collection(nameof(DynamoDbLocal))]
public sealed class PeerTlsTests(DynamoDbLocal dynamo)
{
    private const int Edge = 3;
    private const int Rogue = 4;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Who_has_no_certificate_of_the_clusters_authority_gets_into_no_port_and_the_cluster_goes_on()
    {
        using var authority = new TestAuthority("cluster");
        using var other = new TestAuthority("cluster"); // Of the same name.
        await using var store = new DynamoDbStore(dynamo);
        await using var silos = new SiloProcesses(dynamo, store);
        var good = authority.Issue("silo", TestAuthority.BothWays);
        var caller = authority.Issue("edge", TestAuthority.ToCall);
        silos.Own[1] = silos.Own[2] = Secret(silos, "silos").With(good, authority.Pem).Settings;
        silos.Own[Edge] = Secret(silos, "edge").With(caller, authority.Pem).Settings;
        silos.Own[Rogue] = Secret(silos, "rogue").With(other.Issue("silo", TestAuthority.BothWays), other.Pem).Settings;

        await silos.StartAllAsync(2, Cancellation);
        silos.StartEdge(Edge);
        await silos.ReadyAsync(Edge, Cancellation);
        Assert.Contains("Orleans' connections are by mutual TLS", await File.ReadAllTextAsync(silos.LogOf(1), Cancellation), StringComparison.Ordinal);
        Assert.Equal(0, (await Ipam(store, silos.Own[Edge]).RunAsync("nodes", "--gateway", "127.0.0.1:30001")).ExitCode);

        await KnockAsync(11111, "silo", good, caller);
        await KnockAsync(30001, "gateway", caller, null);
        var without = await Ipam(store, []).RunAsync("nodes", "--gateway", "127.0.0.1:30001");
        Assert.Equal(1, without.ExitCode);
        Assert.Contains("one of the same authority", without.Errors, StringComparison.Ordinal);

        silos.Start(Rogue); // It may write the membership table, and is let in by nobody.
        await silos.UntilAsync("the rogue silo to be refused", () => Task.FromResult(File.Exists(silos.LogOf(Rogue)) && File.ReadAllText(silos.LogOf(Rogue)).Contains("[3022] ", StringComparison.Ordinal)), Cancellation);
        Assert.Equal([SiloStatus.Active, SiloStatus.Active, SiloStatus.Joining], await silos.StatusesAsync());
        foreach (var number in new[] { 1, 2, Edge })
        {
            await silos.ReadyAsync(number, Cancellation);
        }

        return;

        async Task KnockAsync(int port, string name, (string, string) insider, (string, string)? wrongRole)
        {
            Assert.True(await GetsInAsync(port, insider));
            var before = await RefusedAsync(name);
            Assert.False(await GetsInAsync(port, null));
            Assert.False(await GetsInAsync(port, other.Issue("silo", TestAuthority.BothWays)));
            Assert.False(await GetsInAsync(port, authority.Issue("silo", TestAuthority.BothWays, hours: -1)));
            Assert.False(await GetsInAsync(port, authority.Issue("silo", [TestAuthority.BothWays[0]])));
            Assert.False(await PlainGetsInAsync(port));
            if (wrongRole is { } edges)
            {
                Assert.False(await GetsInAsync(port, edges));
            }

            Assert.Equal(before + (wrongRole is null ? 5 : 6), await RefusedAsync(name));
            Assert.Contains($"to the {name} port were refused", await File.ReadAllTextAsync(silos.LogOf(1), Cancellation), StringComparison.Ordinal);
            Assert.True(await GetsInAsync(port, insider));
        }
    }

    [Fact]
    public async Task Certificates_and_authority_are_renewed_while_silos_run_and_what_is_no_good_is_not_taken()
    {
        using var old = new TestAuthority("old");
        using var renewed = new TestAuthority("new");
        await using var store = new DynamoDbStore(dynamo);
        await using var silos = new SiloProcesses(dynamo, store);
        var secret = Secret(silos, "silos");
        var (first, second) = (old.Issue("first", TestAuthority.BothWays), renewed.Issue("second", TestAuthority.BothWays));
        silos.Own[1] = silos.Own[2] = secret.With(first, old.Pem).Settings;
        await silos.StartAllAsync(2, Cancellation);
        await ShownAsync("CN=first", first);

        secret.With((second.Certificate, first.Key), old.Pem + renewed.Pem); // Of a pair that does not fit.
        await SaidByBothAsync("[3024] The certificate for Orleans: what is in the files now is not good, and CN=first");
        secret.With(second, old.Pem); // The new one too early.
        await SaidByBothAsync("CN=second is not signed by an authority of Silo:CaPath");
        await ShownAsync("CN=first", first);

        secret.With(first, old.Pem + renewed.Pem);
        await SaidByBothAsync("[3023] The certificate for Orleans: what is in the files now holds for new connections: CN=first");
        Assert.True(await GetsInAsync(11111, first));
        Assert.True(await GetsInAsync(11111, second));

        secret.With(second, old.Pem + renewed.Pem);
        await SaidByBothAsync("holds for new connections: CN=second");
        await ShownAsync("CN=second", first);

        secret.With(second, renewed.Pem);
        await silos.UntilAsync("the old authority to be gone", async () => !await GetsInAsync(11111, first) && !await GetsInAsync(11112, first), Cancellation);
        await ShownAsync("CN=second", second);
        Assert.Equal([SiloStatus.Active, SiloStatus.Active], await silos.StatusesAsync()); // Connections from before have gone on.

        await silos.SignalAsync(2, "TERM", Cancellation);
        Assert.Equal(0, await silos.EndAsync(2, Cancellation));
        await silos.RestartAsync(2, Cancellation); // By connections of which both ends are new.
        Assert.Equal(2, (await silos.StatusesAsync()).Count(status => status is SiloStatus.Active));

        async Task ShownAsync(string subject, (string, string) own)
        {
            foreach (var port in new[] { 11111, 11112, 30001, 30002 })
            {
                Assert.True(await GetsInAsync(port, own, subject));
            }
        }

        async Task SaidByBothAsync(string what)
        {
            foreach (var number in new[] { 1, 2 })
            {
                await silos.UntilAsync($"silo {number} to say '{what}'", async () => (await File.ReadAllTextAsync(silos.LogOf(number), Cancellation)).Contains(what, StringComparison.Ordinal), Cancellation);
            }
        }
    }

    private static TestSecret Secret(SiloProcesses silos, string name) => new(silos.Folder.CreateSubdirectory(name).FullName);

    private Ipam Ipam(DynamoDbStore store, Dictionary<string, string> settings)
    {
        var ipam = new Ipam(dynamo, store.Settings);
        foreach (var (name, value) in settings)
        {
            ipam.With(name, value);
        }

        return ipam;
    }

    /// <summary>What silo 1 has counted.</summary>
    private async Task<int> RefusedAsync(string port)
    {
        await Task.Delay(TimeSpan.FromSeconds(1.1), Cancellation); // The text of a second ago is told again.
        using var http = dynamo.Http();
        var text = await http.GetStringAsync(new Uri("http://127.0.0.1:20001/metrics"), Cancellation);
        var match = Regex.Match(text, $"^aws_vpc_cni_refused_connections_total{{port=\"{port}\"}} (.*)$", RegexOptions.Multiline);
        return match.Success ? int.Parse(match.Groups[1].Value, CultureInfo.InvariantCulture) : 0;
    }

    private async Task<bool> GetsInAsync(int port, (string Certificate, string Key)? own, string? shown = null) => await OrleansPort.GetsInAsync(await dynamo.ConnectAsync(port, Cancellation), own, shown, Cancellation);

    private async Task<bool> PlainGetsInAsync(int port) => await OrleansPort.PlainGetsInAsync(await dynamo.ConnectAsync(port, Cancellation), Cancellation);
}
