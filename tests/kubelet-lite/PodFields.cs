using System.Text;
using k8s.Models;

namespace AwsVpcCni.KubeletLite;

/// <summary>What a pod's containers are told of it: fields (<c>fieldRef</c>), variables, and <c>$(NAME)</c> in both.</summary>
public static class PodFields
{
    /// <summary>The value of a <c>fieldPath</c>.</summary>
    /// <param name="podIp">Of a pod on the host network: its node's.</param>
    public static string Of(V1Pod pod, string fieldPath, NodeHost node, string podIp) => fieldPath switch
    {
        "metadata.name" => pod.Metadata.Name,
        "metadata.namespace" => pod.Metadata.NamespaceProperty,
        "metadata.uid" => pod.Metadata.Uid,
        "spec.nodeName" => node.Name,
        "spec.serviceAccountName" => pod.Spec.ServiceAccountName,
        "status.hostIP" => node.Address,
        "status.podIP" => podIp,
        _ => throw new NotSupportedException($"fieldPath {fieldPath} is not known to kubelet-lite."),
    };

    /// <summary>A container's variables: where the API server is, as each pod is told, then its own in their order, each with those before it put in.</summary>
    public static IReadOnlyList<KeyValuePair<string, string>> Variables(V1Pod pod, V1Container container, NodeHost node, string podIp)
    {
        List<KeyValuePair<string, string>> variables = [new("KUBERNETES_SERVICE_HOST", node.ApiAddress), new("KUBERNETES_SERVICE_PORT", "443")];
        foreach (var variable in container.Env ?? [])
        {
            var value = variable.ValueFrom?.FieldRef is { } field ? Of(pod, field.FieldPath, node, podIp) : Expand(variable.Value ?? "", variables);
            variables.RemoveAll(known => known.Key == variable.Name);
            variables.Add(new(variable.Name, value));
        }

        return variables;
    }

    /// <summary>Puts variables in for <c>$(NAME)</c>; <c>$$</c> is a dollar, and what names no variable stays.</summary>
    public static string Expand(string text, IReadOnlyCollection<KeyValuePair<string, string>> variables)
    {
        var result = new StringBuilder();
        for (var at = 0; at < text.Length; at++)
        {
            var isDollar = text[at] == '$' && at + 1 < text.Length;
            if (isDollar && text[at + 1] == '$')
            {
                result.Append('$');
                at++;
            }
            else if (isDollar && text[at + 1] == '(' && text.IndexOf(')', at) is > 0 and var end && variables.Where(known => known.Key == text[(at + 2)..end]).ToList() is [var found])
            {
                result.Append(found.Value);
                at = end;
            }
            else
            {
                result.Append(text[at]);
            }
        }

        return result.ToString();
    }
}
