namespace AwsVpcCni.CniProtocol;

/// <summary>What CNI_ARGS says about the pod. Empty strings where it says nothing: podman, for one, knows no pods.</summary>
/// <param name="PodNamespace">K8S_POD_NAMESPACE.</param>
/// <param name="PodName">K8S_POD_NAME; podman puts the container's name here.</param>
/// <param name="PodUid">K8S_POD_UID.</param>
/// <param name="InfraContainerId">The sandbox's id as Kubernetes sees it; the key of a sandbox is CNI_CONTAINERID.</param>
public sealed record CniArgs(string PodNamespace, string PodName, string PodUid, string InfraContainerId)
{
    /// <summary>A DNS subdomain's longest (RFC 1123), which is the longest name that Kubernetes gives to anything.</summary>
    public const int MaxValueLength = 253;

    /// <summary>Of a call without arguments.</summary>
    public static CniArgs None { get; } = new("", "", "", "");

    /// <param name="text">Pairs <c>KEY=value</c> with ';' between them, in any order. A key that we do not know is an error unless IgnoreUnknown is true.</param>
    /// <exception cref="CniException">Code 4, with the key.</exception>
    public static CniArgs Parse(string text)
    {
        var (args, ignoreUnknown, unknown) = (None, false, (string?)null);
        foreach (var pair in text.Split(';', StringSplitOptions.RemoveEmptyEntries))
        {
            var equals = pair.IndexOf('=', StringComparison.Ordinal);
            if (equals <= 0)
            {
                throw Invalid($"CNI_ARGS: '{pair}' is no KEY=value");
            }

            var (key, value) = (pair[..equals], pair[(equals + 1)..]);
            switch (key)
            {
                case "K8S_POD_NAMESPACE": args = args with { PodNamespace = Checked(key, value) }; break;
                case "K8S_POD_NAME": args = args with { PodName = Checked(key, value) }; break;
                case "K8S_POD_UID": args = args with { PodUid = Checked(key, value) }; break;
                case "K8S_POD_INFRA_CONTAINER_ID": args = args with { InfraContainerId = Checked(key, value) }; break;
                case "IgnoreUnknown": ignoreUnknown = ParseBool(value); break;
                default: unknown = key; break;
            }
        }

        return unknown is null || ignoreUnknown
            ? args
            : throw Invalid($"CNI_ARGS has the key {unknown}, which this plugin does not know, and not IgnoreUnknown=1");
    }

    private static string Checked(string key, string value) =>
        value.Length > MaxValueLength ? throw Invalid($"CNI_ARGS: {key} has {value.Length} characters, more than {MaxValueLength}")
        : value.Any(char.IsControl) ? throw Invalid($"CNI_ARGS: {key} has a control character")
        : value;

    private static bool ParseBool(string value) => value.ToLowerInvariant() switch
    {
        "1" or "true" => true,
        "0" or "false" => false,
        _ => throw Invalid($"CNI_ARGS: IgnoreUnknown={value} is neither true nor false"),
    };

    private static CniException Invalid(string message) => CniException.Of(CniErrorCode.InvalidEnvironment, message);
}
