namespace AwsVpcCni.VpcEmulator.Model;

/// <content>Tags of every kind of resource.</content>
public sealed partial class Vpc
{
    private const int MaximumTags = 50; // Per resource, EC2 user guide.

    /// <summary>Sets tags on all the resources, or on none.</summary>
    public void CreateTags(IReadOnlyList<string> resourceIds, IReadOnlyDictionary<string, string> tags)
    {
        Advance();
        CheckTags(tags);
        var all = resourceIds.Select(TagsOf).ToList();
        if (all.Exists(present => present.Keys.Union(tags.Keys).Count() > MaximumTags))
        {
            throw new Ec2Exception("TagLimitExceeded", $"The maximum number of tags per resource is {MaximumTags}.");
        }

        all.ForEach(present => Replace(present, tags));
        Retagged(resourceIds);
    }

    /// <summary>Takes tags away; those that are not there are no error.</summary>
    /// <param name="tags">A null value takes the key away whatever its value.</param>
    public void DeleteTags(IReadOnlyList<string> resourceIds, IReadOnlyDictionary<string, string?> tags)
    {
        Advance();
        foreach (var present in resourceIds.Select(TagsOf).ToList())
        {
            foreach (var (key, value) in tags)
            {
                if (value is null || present.GetValueOrDefault(key) == value)
                {
                    present.Remove(key);
                }
            }
        }

        Retagged(resourceIds);
    }

    private void Retagged(IEnumerable<string> resourceIds) => resourceIds.Select(FindEni).OfType<Eni>().ToList().ForEach(eni => eni.Changed());

    private static void CheckTags(IReadOnlyDictionary<string, string> tags)
    {
        if (tags.Count > MaximumTags)
        {
            throw new Ec2Exception("TagLimitExceeded", $"The maximum number of tags per resource is {MaximumTags}.");
        }

        if (tags.Keys.FirstOrDefault(key => key.StartsWith("aws:", StringComparison.OrdinalIgnoreCase)) is { } reserved)
        {
            throw Ec2Exception.Invalid($"Tag keys starting with 'aws:' are reserved for internal use: {reserved}");
        }
    }

    private SortedDictionary<string, string> TagsOf(string id) => id.Split('-')[0] switch
    {
        "eni" => Existing(id).Tags,
        "i" => (FindInstance(id) ?? throw Ec2Exception.NoInstance(id)).Tags,
        "subnet" => (FindSubnet(id) ?? throw Ec2Exception.NoSubnet(id)).Tags,
        "sg" => (FindGroup(id) ?? throw Ec2Exception.NoGroup(id)).Tags,
        "vpc" => id == Id ? Tags : throw Ec2Exception.NoVpc(id),
        _ => throw new Ec2Exception("InvalidID", $"The ID '{id}' is not valid"),
    };
}
