using AwsVpcCni.VpcEmulator.Model;

namespace AwsVpcCni.VpcEmulator.Ec2Api;

internal static class DeleteTags
{
    public static Effect Read(RequestParameters request)
    {
        var ids = request.List("ResourceId");
        var tags = new SortedDictionary<string, string?>(StringComparer.Ordinal);
        foreach (var tag in request.Structures("Tag"))
        {
            tags[request.Required(tag + ".Key")] = request.Text(tag + ".Value"); // No value: the key goes whatever its value.
        }

        if (ids.Count == 0)
        {
            throw new Ec2Exception("MissingParameter", "The request must contain the parameter resourceIdSet");
        }

        if (tags.Count == 0)
        {
            throw new Ec2Exception("MissingParameter", "The request must contain the parameter tagSet (the emulator does not delete all tags at once).");
        }

        return vpc =>
        {
            vpc.DeleteTags(ids, tags);
            return Xml.Done;
        };
    }
}
