using AwsVpcCni.Silo.Options;
using Microsoft.Extensions.Configuration;
using Xunit;

namespace AwsVpcCni.Tests.Unit.Silo;

public sealed class SiloSettingsTests
{
    [Fact]
    public void The_least_that_must_be_set_is_enough() => Assert.Empty(Errors());

    [Fact]
    public void Without_any_setting_each_missing_one_is_named_with_what_to_set()
    {
        var errors = SiloSettings.Errors(new ConfigurationBuilder().Build());

        Assert.Equal(["Cluster:Name is not set", "Ec2:Region is not set", "Ec2:VpcId is not set", "NodeApi:TokenKeyPath is not set"], errors.Select(error => error[..error.IndexOf(';', StringComparison.Ordinal)]).Order(StringComparer.Ordinal));
        Assert.All(errors, error => Assert.Contains("set ", error, StringComparison.Ordinal));
    }

    [Fact]
    public void The_region_may_come_from_the_variable_of_the_sdk() => Assert.Empty(Errors(("Ec2:Region", null), ("AWS_REGION", "eu-west-1")));

    [Theory]
    [InlineData("Cluster:Name", "no spaces", "Cluster:Name must be")]
    [InlineData("Ec2:VpcId", "subnet-1", "Ec2:VpcId is no VPC id")]
    [InlineData("Ec2:Endpoint", "localhost:4566", "Ec2:Endpoint 'localhost:4566' is no http(s) URL")]
    [InlineData("Ec2:AccountId", "12", "Ec2:AccountId must be 12 digits")]
    [InlineData("Ec2:BudgetShare", "1.2", "Ec2:BudgetShare is 1.2; it must be 0.25 to 1, such as Ec2__BudgetShare=0.8.")]
    [InlineData("Ec2:BudgetShare", "NaN", "Ec2:BudgetShare is NaN; it must be")]
    [InlineData("Pool:WarmIps", "-1", "Pool:WarmIps is -1; it must be a whole number from 0 to 1024, such as Pool__WarmIps=2.")]
    [InlineData("Pool:MinimumIps", "2000", "Pool:MinimumIps is 2000; it must be")]
    [InlineData("Pool:AdditionalTags:node.k8s.amazonaws.com/no_manage", "true", "Pool:AdditionalTags has 'node.k8s.amazonaws.com/no_manage'='true'; a key")]
    [InlineData("Pool:WarmIps", "0", "Pool:WarmIps and Pool:MinimumIps want no address at all")]
    [InlineData("Pool:Cooldown", "-00:00:01", "Pool:Cooldown is -00:00:01")]
    [InlineData("Pool:PreferredRest", "00:00:10", "Pool:PreferredRest is 00:00:10; it must be at least Pool:Cooldown (00:00:30)")]
    [InlineData("Storage:Path", "silo.db", "Storage:Path 'silo.db' is not absolute")]
    [InlineData("Storage:Provider", "dynamo", "Storage:Provider must be sqlite or dynamodb")]
    [InlineData("Storage:ServiceUrl", "localhost:8000", "Storage:ServiceUrl 'localhost:8000' is no http(s) URL")]
    [InlineData("Storage:AddressTable", "our addresses", "Storage:AddressTable is no table name of DynamoDB")]
    [InlineData("Storage:GrainTable", "addresses", "Storage:AddressTable, Storage:HistoryTable, Storage:GrainTable and Storage:MembershipTable have the name addresses more than once")]
    [InlineData("Silo:ServiceId", "my_service", "Silo:ServiceId must be 1 to 100 letters, digits or -")] // _ ends it in a key.
    [InlineData("Silo:ServiceId", "", "Silo:ServiceId is empty")]
    [InlineData("Silo:Clustering", "kubernetes", "Silo:Clustering must be single or dynamodb")]
    [InlineData("Silo:Clustering", "dynamodb", "Silo:Clustering is dynamodb, and Storage:Provider is not")]
    [InlineData("Storage:HistoryTable", "a history", "Storage:HistoryTable is no table name of DynamoDB")]
    [InlineData("Storage:HistoryKept", "00:10:00", "Storage:HistoryKept is 00:10:00; it must be 1 hour to 400 days")]
    [InlineData("Storage:AttemptDeadline", "00:00:00", "Storage:AttemptDeadline is 00:00:00")]
    [InlineData("NodeApi:Port", "70000", "NodeApi:Port: The field")]
    [InlineData("NodeApi:Address", "everywhere", "NodeApi:Address 'everywhere' is no IP address")]
    [InlineData("NodeApi:KeyPath", "/dev/null", "NodeApi:CertificatePath and NodeApi:KeyPath go together")]
    [InlineData("Silo:CaPath", "/dev/null", "Silo:CertificatePath, Silo:KeyPath and Silo:CaPath go together; set all three")]
    [InlineData("NodeApi:TokenKeyPath", "/nowhere/key.pub", "NodeApi:TokenKeyPath '/nowhere/key.pub' does not exist")]
    [InlineData("Kubernetes:Enabled", "true", "Kubernetes:ApiServer is not set, and there is no KUBERNETES_SERVICE_HOST")]
    [InlineData("Kubernetes:ExecutorServiceAccount", "executor", "Kubernetes:ExecutorServiceAccount must be NAMESPACE/NAME")]
    [InlineData("Http:Reviews", "true", "Http:Reviews is true, and Kubernetes:Enabled is not")]
    [InlineData("Kubernetes:Audience", "", "Kubernetes:Audience is empty")]
    [InlineData("Silo:Address", "0.0.0.0", "Silo:Address '0.0.0.0' is no IP address that others can reach")]
    [InlineData("Silo:GatewayPort", "11111", "Silo:Port and Silo:GatewayPort are both 11111")]
    [InlineData("Pool:WarmIp", "4", "Pool:WarmIp is no setting; Pool has WarmEnis, WarmIps, ")]
    [InlineData("Pool:WarmIps", "many", "Failed to convert configuration value 'many' at 'Pool:WarmIps'")]
    public void A_wrong_setting_is_named(string name, string value, string said) =>
        Assert.StartsWith(said, Assert.Single(Errors((name, value))), StringComparison.Ordinal);

    [Fact]
    public void All_errors_are_told_at_once() =>
        Assert.Equal(3, Errors(("Pool:WarmIps", "-1"), ("Silo:Address", "x"), ("Http:Prot", "1")).Count);

    [Fact]
    public void Of_some_sections_what_is_wrong_elsewhere_is_not_told()
    {
        Dictionary<string, string?> settings = new()
        {
            ["Cluster:Name"] = "test", ["Storage:Path"] = "silo.db", ["WARM_IP_TARGET"] = "many", ["Pool:MinimumIps"] = "many", ["Http:Prot"] = "1",
        };

        var errors = SiloSettings.Errors(new ConfigurationBuilder().AddInMemoryCollection(settings).Build(), "Cluster", "Storage");

        Assert.StartsWith("Storage:Path 'silo.db' is not absolute", Assert.Single(errors), StringComparison.Ordinal);
    }

    [Fact]
    public void An_edge_needs_no_more_than_cluster_vpc_token_key_and_the_way_to_the_silos() => Assert.Empty(SiloSettings.EdgeErrors(EdgeWith()));

    [Fact]
    public void By_the_membership_table_it_needs_no_gateway_but_a_region() =>
        Assert.Empty(SiloSettings.EdgeErrors(EdgeWith(("Edge:Gateways:0", null), ("Silo:Clustering", "dynamodb"), ("AWS_REGION", "eu-west-1"))));

    [Fact]
    public void A_silo_and_an_edge_may_have_the_same_settings() => Assert.Empty(Errors(("Edge:Gateways:0", "10.0.0.7:30000"), ("Silo:GatewayForEdges", "true")));

    [Fact]
    public void Without_any_setting_an_edge_names_what_it_needs_and_not_what_only_silos_need()
    {
        var errors = SiloSettings.EdgeErrors(new ConfigurationBuilder().Build());

        Assert.Equal(
            ["Cluster:Name is not set", "Ec2:VpcId is not set", "Edge:Gateways is not set", "NodeApi:TokenKeyPath is not set"],
            errors.Select(error => error[..error.IndexOf(';', StringComparison.Ordinal)]).Order(StringComparer.Ordinal));
        Assert.All(errors, error => Assert.Contains("set ", error, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("Edge:Gateways:0", "10.0.0.7", "Edge:Gateways has '10.0.0.7', which is no address and port")]
    [InlineData("Edge:Gateways:1", "silo.example:30000", "Edge:Gateways has 'silo.example:30000', which is no address and port")]
    [InlineData("Edge:Gateway:0", "10.0.0.8:30000", "Edge:Gateway is no setting; Edge has Gateways.")]
    [InlineData("Edge:Gateways:0", null, "Edge:Gateways is not set")]
    [InlineData("Silo:Clustring", "dynamodb", "Silo:Clustring is no setting; Silo has Clustering, ")]
    [InlineData("Pool:WarmIp", "4", "Pool:WarmIp is no setting; Pool has WarmEnis, WarmIps, ")]
    [InlineData("NodeApi:Port", "70000", "NodeApi:Port: The field")]
    public void A_wrong_setting_of_an_edge_is_named(string name, string? value, string said) =>
        Assert.StartsWith(said, Assert.Single(SiloSettings.EdgeErrors(EdgeWith((name, value)))), StringComparison.Ordinal);

    [Fact]
    public void Gateways_and_the_membership_table_are_not_both_the_way_and_a_table_is_in_some_region()
    {
        var errors = SiloSettings.EdgeErrors(EdgeWith(("Silo:Clustering", "dynamodb")));

        Assert.Equal(2, errors.Count);
        Assert.Contains(errors, error => error.StartsWith("Edge:Gateways is set, and Silo:Clustering is dynamodb", StringComparison.Ordinal));
        Assert.Contains(errors, error => error.StartsWith("Storage:Region is not set, and Silo:Clustering is dynamodb", StringComparison.Ordinal));
    }

    private static IConfigurationRoot EdgeWith(params (string Name, string? Value)[] changes) =>
        With([("Ec2:Region", null), ("Edge:Gateways:0", "10.0.0.7:30000"), .. changes]);

    private static IReadOnlyList<string> Errors(params (string Name, string? Value)[] changes) => SiloSettings.Errors(With(changes));

    private static IConfigurationRoot With(params (string Name, string? Value)[] changes)
    {
        var settings = new Dictionary<string, string?>
        {
            ["Cluster:Name"] = "test",
            ["Ec2:Region"] = "eu-west-1",
            ["Ec2:VpcId"] = "vpc-0123456789abcdef0",
            ["NodeApi:TokenKeyPath"] = "/dev/null", // It exists; what is in it is read later.
        };
        foreach (var (name, value) in changes)
        {
            settings[name] = value;
        }

        return new ConfigurationBuilder().AddInMemoryCollection(settings.Where(setting => setting.Value is not null)).Build();
    }
}
