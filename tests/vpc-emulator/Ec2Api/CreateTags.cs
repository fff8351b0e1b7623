using AwsVpcCni.VpcEmulator.Model;

namespace AwsVpcCni.VpcEmulator.Ec2Api;

internal static class CreateTags
{
    public static Effect Read(RequestParameters request)
    {
        var ids = request.List("ResourceId");
        var tags = request.Tags("Tag");
        if (ids.Count == 0 || tags.Count == 0)
        {
            throw new Ec2Exception("MissingParameter", $"The request must contain the parameter {(ids.Count == 0 ? "resourceIdSet" : "tagSet")}");
        }

        return vpc =>
        {
            vpc.CreateTags(ids, tags);
            return Xml.Done;
        };
    }
}
