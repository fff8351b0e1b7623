using AwsVpcCni.NodeExecutor;
using AwsVpcCni.NodeExecutor.Lease;
using Xunit;

namespace AwsVpcCni.Tests.Unit.NodeExecutor;

public sealed class PluginInstallTests : IDisposable
{
    private readonly string folder = Directory.CreateTempSubdirectory("avc-install-").FullName;

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [Fact]
    public void A_plugin_that_is_in_use_is_replaced_by_another_file()
    {
        var (plugin, target) = (Write("new", "two"), Write("aws-vpc-cni", "one"));
        using var running = File.OpenRead(target);
        PluginInstall.Run(plugin, target);
        Assert.Equal("two", File.ReadAllText(target));
        Assert.Equal("one", new StreamReader(running).ReadToEnd());
        Assert.True(File.GetUnixFileMode(target).HasFlag(UnixFileMode.OtherExecute));
    }

    [Fact]
    public void The_same_plugin_again_is_left_alone()
    {
        var (plugin, target) = (Write("new", "one"), Path.Combine(folder, "aws-vpc-cni"));
        PluginInstall.Run(plugin, target);
        File.SetLastWriteTimeUtc(target, DateTime.UnixEpoch);
        PluginInstall.Run(plugin, target);
        Assert.Equal(DateTime.UnixEpoch, File.GetLastWriteTimeUtc(target));
    }

    [Fact]
    public void What_cannot_be_written_is_said_with_both_paths()
    {
        var refused = Assert.Throws<ExecutorStoppedException>(() => PluginInstall.Run(Write("new", "one"), Path.Combine(folder, "missing", "aws-vpc-cni")));
        Assert.Contains(Path.Combine(folder, "new"), refused.Message, StringComparison.Ordinal);
        Assert.Contains(Path.Combine(folder, "missing", "aws-vpc-cni"), refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Of_other_plugins_those_come_that_the_node_has_not()
    {
        var (others, bin) = (Directory.CreateDirectory(Path.Combine(folder, "cni")).FullName, Directory.CreateDirectory(Path.Combine(folder, "bin")).FullName);
        Write("cni/loopback", "ours");
        Write("cni/portmap", "ours");
        Write("bin/portmap", "the node's");
        PluginInstall.RunWhereAbsent(others, Path.Combine(bin, "aws-vpc-cni"));
        Assert.Equal(("ours", "the node's"), (File.ReadAllText(Path.Combine(bin, "loopback")), File.ReadAllText(Path.Combine(bin, "portmap"))));
        Assert.True(File.GetUnixFileMode(Path.Combine(bin, "loopback")).HasFlag(UnixFileMode.OtherExecute));
        Assert.Equal(2, Directory.GetFiles(bin).Length);
    }

    [Fact]
    public void A_folder_that_is_not_there_is_said() =>
        Assert.Contains("no folder", Assert.Throws<ExecutorStoppedException>(() => PluginInstall.RunWhereAbsent(Path.Combine(folder, "none"), Path.Combine(folder, "aws-vpc-cni"))).Message, StringComparison.Ordinal);

    private string Write(string name, string content)
    {
        var path = Path.Combine(folder, name);
        File.WriteAllText(path, content);
        return path;
    }
}
