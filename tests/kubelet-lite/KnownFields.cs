using System.Text.Json.Nodes;
using k8s;
using k8s.Models;

namespace AwsVpcCni.KubeletLite;

/// <summary>The fields of a pod that are carried out here. Any other one is refused: a test would seem to run the pod as the chart has it, and would not.</summary>
public static class KnownFields
{
    // What is beyond the first bar is not a kubelet's: the scheduler's, or for registries and classes that are not there.
    private static readonly Dictionary<string, string> Fields = new()
    {
        ["spec"] = "containers initContainers volumes serviceAccountName automountServiceAccountToken hostNetwork dnsPolicy restartPolicy terminationGracePeriodSeconds securityContext nodeName"
            + " | affinity nodeSelector tolerations topologySpreadConstraints priorityClassName imagePullSecrets",
        ["containers"] = "name image command args workingDir env ports resources securityContext volumeMounts startupProbe readinessProbe livenessProbe | imagePullPolicy",
        ["env"] = "name value valueFrom",
        ["valueFrom"] = "fieldRef",
        ["fieldRef"] = "fieldPath apiVersion",
        ["ports"] = "name containerPort hostPort protocol",
        ["resources"] = "requests limits",
        ["requests"] = "cpu memory",
        ["limits"] = "cpu memory",
        ["volumeMounts"] = "name mountPath readOnly",
        ["startupProbe"] = "exec httpGet periodSeconds timeoutSeconds failureThreshold",
        ["exec"] = "command",
        ["httpGet"] = "path port host",
        ["volumes"] = "name hostPath emptyDir configMap secret projected persistentVolumeClaim",
        ["hostPath"] = "path type",
        ["emptyDir"] = "| sizeLimit", // Kubelet evicts a pod that exceeds it, later.
        ["configMap"] = "name items defaultMode",
        ["secret"] = "secretName items defaultMode",
        ["items"] = "key path",
        ["projected"] = "defaultMode sources",
        ["sources"] = "serviceAccountToken configMap downwardAPI",
        ["serviceAccountToken"] = "audience expirationSeconds path",
        ["downwardAPI"] = "items",
        ["downwardItems"] = "fieldRef path",
        ["persistentVolumeClaim"] = "claimName",
        ["podSecurity"] = "runAsNonRoot runAsUser runAsGroup fsGroup supplementalGroups seccompProfile",
        ["containerSecurity"] = "runAsNonRoot runAsUser runAsGroup allowPrivilegeEscalation readOnlyRootFilesystem privileged capabilities seccompProfile",
        ["capabilities"] = "add drop",
        ["seccompProfile"] = "type",
    };

    /// <summary>Throws for a pod with a field that is not carried out, naming it.</summary>
    public static void Check(V1PodSpec spec) => Check(JsonNode.Parse(KubernetesJson.Serialize(spec))!, "spec", "spec");

    private static void Check(JsonNode node, string kind, string path)
    {
        if (node is JsonArray list)
        {
            foreach (var (item, index) in list.Select((item, index) => (item, index)))
            {
                Check(item!, kind, $"{path}[{index}]");
            }
        }
        else if (node is JsonObject fields && Fields.TryGetValue(kind, out var known))
        {
            var names = known.Split(' ');
            foreach (var (name, value) in fields)
            {
                if (!names.Contains(name))
                {
                    throw new NotSupportedException($"{path}.{name} is not carried out by kubelet-lite, so the test would not run what the chart says. Teach it (tests/kubelet-lite).");
                }

                if (value is not null && !(kind == "spec" && Array.IndexOf(names, name) > Array.IndexOf(names, "|")))
                {
                    Check(value, KindOf(kind, name), $"{path}.{name}");
                }
            }
        }
    }

    private static string KindOf(string parent, string name) => (parent, name) switch
    {
        (_, "initContainers") => "containers",
        (_, "livenessProbe" or "readinessProbe") => "startupProbe",
        ("spec", "securityContext") => "podSecurity",
        ("containers", "securityContext") => "containerSecurity",
        ("downwardAPI", "items") => "downwardItems",
        _ => name,
    };
}
