using AwsVpcCni.VpcEmulator.Model;

namespace AwsVpcCni.VpcEmulator.Ec2Api;

/// <summary>Exactly one attribute a call.</summary>
internal static class ModifyNetworkInterfaceAttribute
{
    public static Effect Read(RequestParameters request)
    {
        var eni = request.EniId();
        var groups = request.List("SecurityGroupId");
        var attachment = request.Text("Attachment.AttachmentId");
        var delete = request.Boolean("Attachment.DeleteOnTermination");
        var check = request.Boolean("SourceDestCheck.Value");
        var description = request.Text("Description.Value");
        if (attachment is null != delete is null)
        {
            throw new Ec2Exception("MissingParameter",
                $"The request must contain the parameter Attachment.{(attachment is null ? "AttachmentId" : "DeleteOnTermination")}");
        }

        List<Action<Vpc>> changes = [];
        if (groups.Count > 0)
        {
            changes.Add(vpc => vpc.ModifyGroups(eni, groups));
        }

        if (attachment is not null)
        {
            changes.Add(vpc => vpc.ModifyDeleteOnTermination(eni, attachment, delete!.Value));
        }

        if (check is { } value)
        {
            changes.Add(vpc => vpc.ModifySourceDestCheck(eni, value));
        }

        if (description is not null)
        {
            changes.Add(vpc => vpc.ModifyDescription(eni, description));
        }

        return changes switch
        {
            [] => throw new Ec2Exception("MissingParameter", "The request must contain one attribute to modify"),
            [var change] => vpc =>
            {
                change(vpc);
                return Xml.Done;
            },
            _ => throw new Ec2Exception("InvalidParameterCombination", "Only one attribute can be modified at a time"),
        };
    }
}
