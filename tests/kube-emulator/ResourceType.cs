namespace AwsVpcCni.KubeEmulator;

/// <summary>One kind of object that the emulator keeps.</summary>
/// <param name="Group">Empty for the core's.</param>
/// <param name="Plural">As in paths and rights.</param>
public sealed record ResourceType(string Group, string Version, string Plural, string Kind, bool IsNamespaced)
{
    /// <summary>All of them; a path that leads to none of these is answered with 404, as for a kind that is not installed.</summary>
    public static readonly IReadOnlyList<ResourceType> All =
    [
        new("", "v1", "nodes", "Node", false),
        new("", "v1", "namespaces", "Namespace", false),
        new("", "v1", "pods", "Pod", true),
        new("", "v1", "events", "Event", true),
        new("", "v1", "serviceaccounts", "ServiceAccount", true),
        new("", "v1", "services", "Service", true),
        new("", "v1", "secrets", "Secret", true),
        new("", "v1", "configmaps", "ConfigMap", true),
        new("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice", true),
        new("events.k8s.io", "v1", "events", "Event", true),
        new("crd.k8s.amazonaws.com", "v1alpha1", "eniconfigs", "ENIConfig", false),
        new("apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", false),
        new("rbac.authorization.k8s.io", "v1", "roles", "Role", true),
        new("rbac.authorization.k8s.io", "v1", "rolebindings", "RoleBinding", true),
        new("rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole", false),
        new("rbac.authorization.k8s.io", "v1", "clusterrolebindings", "ClusterRoleBinding", false),
        new("apps", "v1", "daemonsets", "DaemonSet", true),
        new("apps", "v1", "deployments", "Deployment", true),
        new("apps", "v1", "statefulsets", "StatefulSet", true),
        new("coordination.k8s.io", "v1", "leases", "Lease", true),
    ];

    /// <summary>By which kubectl's users name it, too.</summary>
    public string ShortNames => Plural switch { "nodes" => "no", "pods" => "po", "events" => "ev", "customresourcedefinitions" => "crd crds", _ => "" };

    /// <summary>As an object's apiVersion.</summary>
    public string ApiVersion => Group.Length == 0 ? Version : $"{Group}/{Version}";

    /// <summary>The kind that an object says it is of; null when there is none.</summary>
    public static ResourceType? Of(string apiVersion, string kind) => All.FirstOrDefault(type => type.ApiVersion == apiVersion && type.Kind == kind);
}
