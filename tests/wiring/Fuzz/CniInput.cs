using System.Text;

namespace AwsVpcCni.Tests.Wiring.Fuzz;

/// <summary>How far an input is from one that a runtime would give.</summary>
internal enum Distance
{
    /// <summary>Just so.</summary>
    None,

    /// <summary>In other words, with the same meaning.</summary>
    Words,

    /// <summary>Broken somewhere.</summary>
    Broken,
}

/// <summary>One call of a CNI runtime: its variables and what is on stdin, from valid to broken.</summary>
/// <param name="Command">That it was before it was broken.</param>
/// <param name="Variables"><c>NAME=value</c>, in Latin-1.</param>
/// <param name="Valid">The config that <paramref name="Stdin"/> was made of.</param>
/// <param name="IsEnvironmentValid">Whether what is wrong, if something is, is on stdin only.</param>
internal sealed record CniInput(string Command, Distance Distance, IReadOnlyList<string> Variables, byte[] Stdin, string Valid, bool IsEnvironmentValid)
{
    private static readonly string[] Commands = ["ADD", "ADD", "ADD", "DEL", "CHECK", "GC", "STATUS"];

    private static readonly string[] Versions = ["0.3.1", "0.4.0", "1.0.0", "1.1.0"];

    /// <summary>Each variable with its NUL.</summary>
    public byte[] Environment => Oddities.Bytes(string.Concat(Variables.Select(variable => variable + "\0")));

    public override string ToString() => $"{Command} {Distance}\n{Oddities.Shown(Environment)}\n{Oddities.Shown(Stdin)}";

    /// <param name="netns">For CNI_NETNS: valid ones.</param>
    /// <param name="badNetns">Paths that may stand in their place.</param>
    public static CniInput Of(Random random, string container, IReadOnlyList<string> netns, IReadOnlyList<string> badNetns, string? command = null)
    {
        command ??= random.One(Commands);
        var distance = random.Next(10) switch { 0 => Distance.None, 1 or 2 => Distance.Words, _ => Distance.Broken };
        var valid = Config(random, command, random.One(netns));
        List<string> variables =
        [
            "CNI_COMMAND=" + command, "CNI_CONTAINERID=" + container, "CNI_NETNS=" + random.One(netns), "CNI_IFNAME=eth0", "CNI_PATH=/opt/cni/bin",
            $"CNI_ARGS=IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=web-{random.Next(100)};K8S_POD_INFRA_CONTAINER_ID={container};K8S_POD_UID=uid",
        ];
        var breaksEnvironment = distance is Distance.Broken && random.Chance(0.4);
        var stdin = distance switch
        {
            Distance.None => Encoding.UTF8.GetBytes(valid),
            Distance.Words => Encoding.UTF8.GetBytes(JsonPiece.Parse(valid).InOtherWords(random)),
            _ when breaksEnvironment && random.Chance(0.7) => Encoding.UTF8.GetBytes(valid),
            _ => Broken(random, valid),
        };
        if (breaksEnvironment)
        {
            for (var n = random.Next(1, 3); n > 0 && variables.Count > 0; n--)
            {
                BreakOne(random, variables, badNetns);
            }
        }

        return new CniInput(command, distance, variables, stdin, valid, !breaksEnvironment);
    }

    private static byte[] Broken(Random random, string valid)
    {
        var tree = JsonPiece.Parse(valid);
        if (random.Chance(0.75))
        {
            tree.Break(random);
        }

        var bytes = Oddities.Bytes(tree.ToString());
        return random.Chance(0.35) ? Oddities.Damaged(random, bytes) : bytes;
    }

    private static void BreakOne(Random random, List<string> variables, IReadOnlyList<string> badNetns)
    {
        var at = random.Next(variables.Count);
        var (name, value) = (variables[at][..variables[at].IndexOf('=', StringComparison.Ordinal)], Oddities.Value(random));
        if (name == "CNI_NETNS")
        {
            variables[at] = name + "=" + random.One(badNetns); // Never some other path of this machine, whose network would be changed.
            return;
        }

        switch (random.Next(7))
        {
            case 0: variables.RemoveAt(at); break;
            case 1: variables[at] = name + "=" + value; break;
            case 2: variables[at] += value; break;
            case 3: variables.Insert(random.Next(variables.Count + 1), name + "=" + value); break;
            case 4: variables.Add("CNI_ARGS=" + value + ";K8S_POD_NAME=" + Oddities.Value(random)); break;
            case 5: variables.Add("CNI_X" + value.Replace('=', '-').Replace('\0', '-') + "=1"); break;
            default: variables[at] = name + "=" + Encoding.Latin1.GetString(Oddities.Damaged(random, Oddities.Bytes(variables[at][(name.Length + 1)..]))); break;
        }

        for (var i = 0; i < variables.Count; i++)
        {
            variables[i] = variables[i].Replace('\0', '0'); // An environment cannot hold it.
        }
    }

    /// <summary>What a runtime gives for the command; its prevResult is of a plugin before ours, at a CHECK of ours.</summary>
    private static string Config(Random random, string command, string netns)
    {
        var version = random.One(command switch { "GC" or "STATUS" => ["1.1.0"], "CHECK" => Versions[1..], _ => Versions });
        List<string> keys = [$"\"cniVersion\":\"{version}\"", "\"name\":\"aws-cni\"", "\"type\":\"aws-vpc-cni\""];
        if (random.Chance(0.5))
        {
            keys.Add(random.One(["\"mtu\":1500", "\"mtu\":\"9001\"", "\"mtu\":576"]));
        }

        if (random.Chance(0.4))
        {
            keys.Add("""
                "capabilities":{"portMappings":true},"runtimeConfig":{"portMappings":[{"hostPort":8080,"containerPort":80,"protocol":"tcp"}]}
                """);
        }

        if (command == "CHECK" || (command is "ADD" or "DEL" && random.Chance(0.4)))
        {
            keys.Add(command == "CHECK" ? Ours(version, netns) : Earlier(version, netns));
        }

        if (command == "GC")
        {
            keys.Add("""
                "cni.dev/valid-attachments":[{"containerID":"c-9","ifname":"eth0"},{"containerID":"c-8","ifname":"net1"}]
                """);
        }

        return "{" + string.Join(',', keys) + "}";
    }

    private static string Earlier(string version, string netns) =>
        $$$"""
        "prevResult":{"cniVersion":"{{{version}}}","interfaces":[{"name":"br0","mac":"02:00:00:00:00:07"},{"name":"net7","mac":"02:00:00:00:00:08","sandbox":"{{{netns}}}"}],"ips":[{"address":"192.168.7.2/24","interface":1,"gateway":"192.168.7.1"}],"routes":[{"dst":"192.168.8.0/24","gw":"192.168.7.1"}],"dns":{"nameservers":["192.168.7.1"]}}
        """;

    private static string Ours(string version, string netns) =>
        $$$"""
        "prevResult":{"cniVersion":"{{{version}}}","interfaces":[{"name":"eni0123456789a","mac":"02:00:00:00:00:01"},{"name":"eth0","mac":"02:00:00:00:00:02","sandbox":"{{{netns}}}"}],"ips":[{"address":"10.0.0.10/32","interface":1,"gateway":"169.254.1.1"}],"routes":[{"dst":"0.0.0.0/0","gw":"169.254.1.1"}],"dns":{}}
        """;
}
