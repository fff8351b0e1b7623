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

    private string Write(string name, string content)
    {
        var path = Path.Combine(folder, name);
        File.WriteAllText(path, content);
        return path;
    }
}
