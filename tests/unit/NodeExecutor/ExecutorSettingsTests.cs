using AwsVpcCni.Core.Addressing;
using AwsVpcCni.NodeExecutor;
using AwsVpcCni.NodeExecutor.Lease;
using Xunit;

namespace AwsVpcCni.Tests.Unit.NodeExecutor;

public sealed class ExecutorSettingsTests : IDisposable
{
    private readonly string file = Path.GetTempFileName();
    private readonly DirectoryInfo plugins = Directory.CreateTempSubdirectory("executor-plugins-");
    private readonly Dictionary<string, string> environment = new(StringComparer.Ordinal);

    public ExecutorSettingsTests()
    {
        environment["AWS_VPC_CNI_CONFIG"] = file;
        environment["AWS_VPC_CNI_PLUGIN_DIR"] = plugins.FullName;
        File.WriteAllText(file, """{"silos":["http://10.0.0.4:8001"],"tokenFile":"/run/token","eniMtu":1500,"connmark":"0x100","excludeSnatCidrs":["10.8.0.0/16"],"externalSnat":true}""");
    }

    public void Dispose()
    {
        File.Delete(file);
        plugins.Delete(recursive: true);
    }

    private void Install(params string[] names) => Array.ForEach(names, name => File.WriteAllText(Path.Combine(plugins.FullName, name), ""));

    private ExecutorSettings Read() => ExecutorSettings.Read(environment.GetValueOrDefault);

    [Fact]
    public void The_file_says_what_the_environment_does_not()
    {
        environment["AWS_VPC_ENI_MTU"] = "9000";
        environment["AWS_VPC_K8S_CNI_EXTERNALSNAT"] = "F";

        Assert.Equal((9000, "/run/token", new Uri("http://10.0.0.4:8001")), (Read().Host.EniMtu, Read().TokenFile, Read().Silos.Single()));
        Assert.Equal((0x100u, false, Cidr.Parse("10.8.0.0/16")), (Read().Host.Mark, Read().Host.ExternalSnat, Read().Host.SnatExclusions.Single()));
    }

    [Fact]
    public void What_is_set_behind_a_ranges_prefix_does_not_count()
    {
        environment["AWS_VPC_K8S_CNI_EXCLUDE_SNAT_CIDRS"] = "10.1.2.3/16, 0.0.0.0/0";
        Assert.Equal([Cidr.Parse("10.1.0.0/16"), Cidr.Parse("0.0.0.0/0")], Read().Host.SnatExclusions);
    }

    [Fact]
    public void The_silos_are_found_by_their_service_as_pods_find_the_API_server()
    {
        File.WriteAllText(file, """{"tokenFile":"/run/token","caFile":"/run/ca.crt","siloService":"kube-system/aws-vpc-cni-silo"}""");
        environment["KUBERNETES_SERVICE_HOST"] = "fd00::1";
        environment["KUBERNETES_SERVICE_PORT"] = "6443";

        var service = Read().SiloService!;
        Assert.Empty(Read().Silos);
        Assert.Equal((new Uri("https://[fd00::1]:6443"), true, "aws-vpc-cni-silo.kube-system.svc"), (service.ApiServer, service.IsTls, service.HostName));
        Assert.Equal("/var/run/secrets/kubernetes.io/serviceaccount/token", service.TokenFile);
    }

    [Theory]
    [InlineData("http://10.0.0.4:8001", "kube-system/silo", "10.0.0.1", "AWS_VPC_CNI_SILOS and AWS_VPC_CNI_SILO_SERVICE are both set")]
    [InlineData("", "kube-system/silo", "", "AWS_VPC_CNI_SILO_SERVICE needs it")]
    [InlineData("", "silo.kube-system.svc", "10.0.0.1", "NAMESPACE/NAME of the silos' service")]
    [InlineData("", "", "10.0.0.1", "AWS_VPC_CNI_SILOS is not set")]
    public void Silos_and_service_that_do_not_go_together_are_named(string silos, string service, string host, string said)
    {
        File.WriteAllText(file, """{"tokenFile":"/run/token"}""");
        (environment["AWS_VPC_CNI_SILOS"], environment["AWS_VPC_CNI_SILO_SERVICE"], environment["KUBERNETES_SERVICE_HOST"]) = (silos, service, host);

        var message = Assert.Throws<ExecutorStoppedException>(Read).Message;
        Assert.Contains(said, message, StringComparison.Ordinal);
        Assert.Single(message.Split('\n').Skip(1));
    }

    [Fact]
    public void The_hosts_network_has_the_references_defaults()
    {
        File.WriteAllText(file, """{"silos":["http://10.0.0.4:8001"],"tokenFile":"/run/token"}""");
        environment["AWS_VPC_K8S_CNI_EXCLUDE_SNAT_CIDRS"] = ""; // As manifests write it: unset.

        Assert.Equal(new HostNetworkSettings { EniMtu = 9001, PodMtu = 9001, VethPrefix = "eni", Mark = 0x80, NodePorts = true, SnatPorts = SnatPorts.FullyRandom }, Read().Host);
    }

    [Fact]
    public void Pods_have_the_interfaces_MTU_unless_their_own_is_set()
    {
        Assert.Equal(1500, Read().Host.PodMtu);
        environment["POD_MTU"] = "1400";
        Assert.Equal((1500, 1400), (Read().Host.EniMtu, Read().Host.PodMtu));
    }

    [Theory]
    [InlineData("0x80", 0x80u)]
    [InlineData("128", 128u)]
    [InlineData("0X8_0", 0x80u)]
    [InlineData("0b10", 2u)]
    [InlineData("0o200", 128u)]
    [InlineData("0200", 128u)]
    [InlineData("0xffffffff", uint.MaxValue)]
    public void A_mark_is_any_number_that_Go_reads(string text, uint mark)
    {
        environment["AWS_VPC_K8S_CNI_CONNMARK"] = text;
        Assert.Equal(mark, Read().Host.Mark);
    }

    [Theory]
    [InlineData("AWS_VPC_ENI_MTU", "575", "from 576 to 9001")]
    [InlineData("POD_MTU", "9002", "from 576 to 9001")]
    [InlineData("AWS_VPC_K8S_CNI_VETHPREFIX", "longer", "1 to 4 letters and digits")]
    [InlineData("AWS_VPC_K8S_CNI_VETHPREFIX", "vlan", "not eth, lo or vlan")]
    [InlineData("AWS_VPC_K8S_CNI_VETHPREFIX", "a*", "letters and digits")]
    [InlineData("AWS_VPC_K8S_CNI_EXTERNALSNAT", "yes", "true or false")]
    [InlineData("AWS_VPC_CNI_NODE_PORT_SUPPORT", "on", "true or false")]
    [InlineData("AWS_VPC_K8S_CNI_RANDOMIZESNAT", "random", "prng, hashrandom or none")]
    [InlineData("AWS_VPC_K8S_CNI_CONNMARK", "0", "from 1 to 0xffffffff")]
    [InlineData("AWS_VPC_K8S_CNI_CONNMARK", "0x100000000", "from 1 to 0xffffffff")]
    [InlineData("AWS_VPC_K8S_CNI_CONNMARK", "0xg", "from 1 to 0xffffffff")]
    [InlineData("AWS_VPC_K8S_CNI_CONNMARK", "-1", "from 1 to 0xffffffff")]
    [InlineData("AWS_VPC_K8S_CNI_EXCLUDE_SNAT_CIDRS", "10.0.0.0/8,fd00::/8", "IPv4 ranges")]
    [InlineData("AWS_EXTERNAL_SERVICE_CIDRS", "0.0.0.0/0", "not all addresses")]
    [InlineData("AWS_EXTERNAL_SERVICE_CIDRS", "10.0.0.0", "such as 10.0.0.0/16")]
    [InlineData("AWS_VPC_CNI_METRICS_ADDRESS", "127.0.0.1", "an IPv4 address and a port")]
    [InlineData("AWS_VPC_CNI_CONFLIST_VERSION", "1.2.0", "1.0.0, or 1.1.0")]
    [InlineData("AWS_VPC_CNI_METRICS_ADDRESS", "localhost:61678", "or none")]
    [InlineData("AWS_VPC_CNI_METRICS_ADDRESS", "[::1]:61678", "an IPv4 address")] // .NET's HTTP listener takes no IPv6 address.
    [InlineData("DISABLE_METRICS", "yes", "true or false")]
    [InlineData("AWS_VPC_CNI_CHAINED", "tuning", "'tuning' is none of bandwidth, firewall, portmap")]
    [InlineData("AWS_VPC_CNI_CHAINED", "bandwidth,none", "none stands alone")]
    [InlineData("AWS_VPC_CNI_CHAINED", "bandwidth, bandwidth", "bandwidth stands twice")]
    [InlineData("AWS_VPC_CNI_CHAINED", "bandwidth,portmap", "there is no portmap in")]
    [InlineData("AWS_VPC_CNI_CHAINED", "portmap", "by AWS_VPC_CNI_PLUGIN_DIR, or leave it out")]
    public void A_value_that_cannot_be_is_refused_with_what_can_be(string variable, string value, string allowed)
    {
        Install("bandwidth");
        environment[variable] = value;
        var message = Assert.Throws<ExecutorStoppedException>(Read).Message;
        Assert.Contains($"{variable}={value} is not possible: ", message, StringComparison.Ordinal);
        Assert.Contains(allowed, message, StringComparison.Ordinal);
    }

    [Fact]
    public void Portmap_follows_our_plugin_where_it_is_there_unless_a_setting_says_otherwise()
    {
        Assert.Empty(Read().Chained);
        Install("portmap", "bandwidth");
        Assert.Equal(["portmap"], Read().Chained);
        environment["AWS_VPC_CNI_CHAINED"] = "bandwidth, portmap";
        Assert.Equal(["bandwidth", "portmap"], Read().Chained);
        environment["AWS_VPC_CNI_CHAINED"] = "none";
        Assert.Empty(Read().Chained);
    }

    [Fact]
    public void The_file_can_name_plugins_and_where_they_are()
    {
        environment.Remove("AWS_VPC_CNI_PLUGIN_DIR");
        Install("bandwidth");
        File.WriteAllText(file, $$"""{"silos":["http://10.0.0.4:8001"],"tokenFile":"/run/token","pluginDirectory":"{{plugins.FullName}}","chained":["bandwidth"]}""");
        Assert.Equal(["bandwidth"], Read().Chained);
        File.WriteAllText(file, """{"silos":["http://10.0.0.4:8001"],"tokenFile":"/run/token","chained":[]}""");
        Assert.Equal(("/opt/cni/bin", 0), (Read().PluginDirectory, Read().Chained.Length));
    }

    [Fact] // An older portmap would fail every ADD, and it is behind ours unasked where it is there.
    public void A_list_of_1_1_0_wants_its_chained_plugins_named()
    {
        environment["AWS_VPC_CNI_CONFLIST_VERSION"] = "1.1.0";
        Assert.Contains("needs AWS_VPC_CNI_CHAINED", Assert.Throws<ExecutorStoppedException>(Read).Message, StringComparison.Ordinal);
        environment["AWS_VPC_CNI_CHAINED"] = "none";
        Assert.Equal("1.1.0", Read().ConflistVersion);
    }

    [Fact]
    public void Metrics_are_for_this_machine_only_unless_a_setting_says_otherwise()
    {
        Assert.Equal("127.0.0.1:61678", Read().Metrics?.ToString());
        environment["AWS_VPC_CNI_METRICS_ADDRESS"] = "10.0.0.4:9100";
        Assert.Equal("10.0.0.4:9100", Read().Metrics?.ToString());
        environment["DISABLE_METRICS"] = "true";
        Assert.Null(Read().Metrics);
    }

    [Fact]
    public void Several_silos_stand_with_commas_between()
    {
        environment["AWS_VPC_CNI_SILOS"] = "http://a:1, https://b:2";

        Assert.Equal([new Uri("http://a:1"), new Uri("https://b:2")], Read().Silos);
    }

    [Fact]
    public void All_that_is_wrong_is_named_at_once()
    {
        File.WriteAllText(file, """{"unknownKey":1}""");
        environment["AWS_VPC_CNI_SILOS"] = "ftp://a";
        environment["AWS_VPC_ENI_MTU"] = "100";
        environment["AWS_VPC_CNI_LOG_LEVEL"] = "loud";

        var message = Assert.Throws<ExecutorStoppedException>(Read).Message;
        Assert.All(["unknownKey", "AWS_VPC_CNI_SILOS", "AWS_VPC_ENI_MTU=100", "AWS_VPC_CNI_LOG_LEVEL=loud", "AWS_VPC_CNI_TOKEN_FILE is not set"],
            text => Assert.Contains(text, message, StringComparison.Ordinal));
    }
}
