using AwsVpcCni.VpcEmulator.Model;

namespace AwsVpcCni.VpcEmulator.Ec2Api;

internal static class DescribeSecurityGroups
{
    private static readonly Dictionary<string, FilterValues<SecurityGroup>> Known = new()
    {
        ["vpc-id"] = (vpc, _) => [vpc.Id],
        ["group-id"] = (_, group) => [group.Id],
        ["group-name"] = (_, group) => [group.Name],
    };

    public static Effect Read(RequestParameters request)
    {
        var filters = new Filters<SecurityGroup>(request, Known, group => group.Tags);
        var ids = request.List("GroupId");
        var page = new Page(request, ids);
        return vpc =>
        {
            if (ids.Find(id => vpc.FindGroup(id) is null) is { } unknown)
            {
                throw Ec2Exception.NoGroup(unknown);
            }

            var matching = vpc.SecurityGroups.Select((group, index) => ((long)index, group))
                .Where(entry => (ids.Count == 0 || ids.Contains(entry.group.Id)) && filters.Match(vpc, entry.group));
            return [page.Of("securityGroupInfo", matching, group => Content(vpc, group))];
        };
    }

    private static object[] Content(Vpc vpc, SecurityGroup group) =>
    [
        Xml.Element("groupId", group.Id),
        Xml.Element("groupName", group.Name),
        Xml.Element("groupDescription", group.Name),
        Xml.Element("ownerId", vpc.AccountId),
        Xml.Element("vpcId", vpc.Id),
        Xml.Tags(group.Tags),
    ];
}
