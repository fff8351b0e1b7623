namespace AwsVpcCni.Grains.Vpc;

/// <summary>How the VPC's grain is asked while it may be on a silo of an older build (ADR 0011).</summary>
internal static class VpcOfEachBuild
{
    /// <summary>As <see cref="IVpcGrain.LookAtMeAsync"/>; one that does not know that looks at once.</summary>
    public static async Task LookAtMeOfEachBuildAsync(this IVpcGrain vpc, string instanceId, long change)
    {
        try
        {
            await vpc.LookAtMeAsync(instanceId, change);
        }
        catch (TypeLoadException)
        {
            await vpc.DescribeMeAsync(instanceId, change);
        }
    }
}
