using Amazon;
using Amazon.EC2;
using Amazon.Runtime;
using AwsVpcCni.Grains;
using AwsVpcCni.Grains.Ec2;
using AwsVpcCni.Silo.Options;
using Microsoft.Extensions.Options;

namespace AwsVpcCni.Silo.Ec2;

/// <summary>EC2 as the grains need it, over the AWS SDK.</summary>
internal static class Ec2Setup
{
    /// <summary>Adds it.</summary>
    public static IServiceCollection AddEc2(this IServiceCollection services) => services.AddSingleton<IEc2>(parts => Connect(parts));

    /// <summary>By the settings.</summary>
    /// <param name="dryRun">True: what would change something is only asked for.</param>
    public static SdkEc2 Connect(IServiceProvider parts, bool? dryRun = null)
    {
        var config = Config(parts.GetRequiredService<IOptions<Ec2Options>>().Value, parts.GetRequiredService<ClusterSettings>().Timing);
        config.HttpClientFactory = parts.GetService<HttpClientFactory>();
        return new SdkEc2(() => new AmazonEC2Client(config), dryRun);
    }

    /// <summary>One send for each call, and an answer in time. Credentials and, unless set here, the endpoint come from the SDK's own settings.</summary>
    public static AmazonEC2Config Config(Ec2Options options, Timing timing)
    {
        var config = new AmazonEC2Config
        {
            // Both, and only both: cut connections are resent up to 10 times outside the retry budget.
            MaxErrorRetry = 0,
            MaxStaleConnectionRetries = 0,
            RetryMode = RequestRetryMode.Standard, // Adaptive adds a limiter that the quota grain does not know of.
            Timeout = timing.Ec2Call,
        };
        if (options.Endpoint is null)
        {
            config.RegionEndpoint = RegionEndpoint.GetBySystemName(options.Region);
        }
        else
        {
            config.ServiceURL = options.Endpoint;
            config.AuthenticationRegion = options.Region;
        }

        return config;
    }
}
