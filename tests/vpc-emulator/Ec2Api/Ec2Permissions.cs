using AwsVpcCni.VpcEmulator.Iam;
using AwsVpcCni.VpcEmulator.Model;

namespace AwsVpcCni.VpcEmulator.Ec2Api;

/// <summary>What IAM is asked before a call: resources and condition keys as the Service Authorization Reference of EC2 has them, as far as docs/iam
/// can ask for them.</summary>
internal sealed class Ec2Permissions(Vpc vpc)
{
    /// <summary>All that must be granted. The call's parameters are in order.</summary>
    public IEnumerable<IamRequest> Of(RequestParameters call)
    {
        var action = "ec2:" + call.Action;
        return call.Action switch
        {
            nameof(CreateNetworkInterface) => Create(action, call),
            nameof(AttachNetworkInterface) => [Interface(action, call.EniId()), Instance(action, call.Required("InstanceId"))],
            nameof(DetachNetworkInterface) => Attachment(action, call.Required("AttachmentId")),
            nameof(ModifyNetworkInterfaceAttribute) =>
            [
                Interface(action, call.EniId()), .. call.List("SecurityGroupId").Select(group => Group(action, group)),
                .. call.Text("Attachment.AttachmentId") is { } attachment ? Attachment(action, attachment).Skip(1) : [],
            ],
            nameof(AssignPrivateIpAddresses) or nameof(UnassignPrivateIpAddresses) or nameof(DeleteNetworkInterface) => [Interface(action, call.EniId())],
            nameof(CreateTags) or nameof(DeleteTags) => call.List("ResourceId").Select(id => Any(action, id)),
            nameof(CreateSubnetCidrReservation) => [Subnet(action, call.Required("SubnetId"))],
            _ => [new IamRequest(action, "*", Context([]))],
        };
    }

    private IEnumerable<IamRequest> Create(string action, RequestParameters call)
    {
        var subnet = call.Required("SubnetId");
        var tags = call.TagSpecifications("network-interface");
        var asked = tags.Select(tag => ("aws:RequestTag/" + tag.Key, tag.Value)).ToArray();
        yield return new IamRequest(action, Arn("network-interface", "*"), Context([], [.. asked, ("ec2:Vpc", VpcArn), ("ec2:Subnet", Arn("subnet", subnet))]));
        yield return Subnet(action, subnet);
        foreach (var group in call.List("SecurityGroupId"))
        {
            yield return Group(action, group);
        }

        if (tags.Count > 0)
        {
            yield return new IamRequest("ec2:CreateTags", Arn("network-interface", "*"), Context([], [.. asked, ("ec2:CreateAction", call.Action)]));
        }
    }

    private IEnumerable<IamRequest> Attachment(string action, string id) => vpc.Enis.FirstOrDefault(eni => eni.Attachment?.Id == id) is { } eni
        ? [Interface(action, eni.Id), Instance(action, eni.Attachment!.Instance.Id)]
        : [new IamRequest(action, Arn("network-interface", "*"), null), new IamRequest(action, Arn("instance", "*"), null)];

    private IamRequest Any(string action, string id) => id.Split('-')[0] switch
    {
        "eni" => Interface(action, id),
        "i" => Instance(action, id),
        "subnet" => Subnet(action, id),
        "sg" => Group(action, id),
        _ => new IamRequest(action, id == vpc.Id ? VpcArn : Arn("*", id), id == vpc.Id ? Context(vpc.Tags) : null),
    };

    private IamRequest Interface(string action, string id) => new(action, Arn("network-interface", id), vpc.FindEni(id) is { } eni
        ? Context(eni.Tags, ("ec2:Vpc", VpcArn), ("ec2:Subnet", Arn("subnet", eni.Subnet.Id)))
        : null);

    private IamRequest Instance(string action, string id) => new(action, Arn("instance", id), vpc.FindInstance(id) is { } instance ? Context(instance.Tags) : null);

    private IamRequest Subnet(string action, string id) => new(action, Arn("subnet", id), vpc.FindSubnet(id) is { } subnet ? Context(subnet.Tags, ("ec2:Vpc", VpcArn)) : null);

    private IamRequest Group(string action, string id) => new(action, Arn("security-group", id), vpc.FindGroup(id) is { } group ? Context(group.Tags, ("ec2:Vpc", VpcArn)) : null);

    private Dictionary<string, string> Context(IEnumerable<KeyValuePair<string, string>> tags, params (string Key, string Value)[] more) => new(
        [
            new("ec2:Region", vpc.Region), .. tags.Select(tag => new KeyValuePair<string, string>("aws:ResourceTag/" + tag.Key, tag.Value)),
            .. more.Select(one => new KeyValuePair<string, string>(one.Key, one.Value)),
        ], StringComparer.Ordinal);

    private string VpcArn => Arn("vpc", vpc.Id);

    private string Arn(string kind, string id) => $"arn:aws:ec2:{vpc.Region}:{vpc.AccountId}:{kind}/{id}";
}
