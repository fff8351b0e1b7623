using System.Collections.Immutable;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.Grains.Node;
using Xunit;

namespace AwsVpcCni.Tests.Unit.Grains.Node;

public sealed class NodeLivesTests
{
    private static readonly Ip First = Ip.Parse("10.0.0.16");
    private static readonly PodName Pod = new("default", "web", "");

    [Theory]
    [InlineData(null, false, false, true, BlockStage.Warm)]
    [InlineData(null, false, false, false, BlockStage.Cooling)]
    [InlineData(null, false, true, true, BlockStage.OnPod)]
    [InlineData(7L, false, false, true, BlockStage.AskedBack)]
    [InlineData(7L, false, true, true, BlockStage.OnPod)]
    [InlineData(7L, true, true, true, BlockStage.LostOnPod)]
    [InlineData(7L, true, false, true, BlockStage.Lost)]
    public void A_held_block(long? askedBackAt, bool isLost, bool isOnPod, bool isRested, BlockStage expected)
    {
        var life = Assert.Single(Lives(new NodeDocument { Interfaces = [Eni with { Blocks = [new HeldBlock(new Block(First), askedBackAt, isLost)] }] }, isOnPod, isRested));
        Assert.Equal((expected, InterfaceStage.Ready, isOnPod ? 1 : 0), (life.Stage, life.Interface, life.Pods.Length));
    }

    [Theory]
    [InlineData(15, true, BlockStage.OnPod)]
    [InlineData(99, true, BlockStage.Warm)]
    [InlineData(99, false, BlockStage.Cooling)]
    public void A_prefix_is_as_the_busiest_of_its_addresses(int onPod, bool isRested, BlockStage expected)
    {
        var document = new NodeDocument { Interfaces = [Eni with { Blocks = [new HeldBlock(new Block(First, true))] }] };
        var life = Assert.Single(NodeLives.Of(document, new HashSet<string> { "eni-1" }, ip => ip == First + onPod ? Pod : null, ip => isRested || ip != First + 3));
        Assert.Equal(expected, life.Stage);
    }

    [Theory]
    [InlineData(IntentKind.AddInterface, "", "", InterfaceStage.Creating, BlockStage.Drawing)]
    [InlineData(IntentKind.AddInterface, "eni-2", "", InterfaceStage.Attaching, BlockStage.Drawing)]
    [InlineData(IntentKind.AddInterface, "eni-2", "attach-2", InterfaceStage.Configuring, BlockStage.Drawing)]
    [InlineData(IntentKind.RemoveInterface, "eni-2", "attach-2", InterfaceStage.Detaching, null)]
    [InlineData(IntentKind.RemoveInterface, "eni-2", "", InterfaceStage.Deleting, null)]
    [InlineData(IntentKind.Draw, "eni-1", "", InterfaceStage.Ready, BlockStage.Drawing)]
    [InlineData(IntentKind.DrawCounted, "eni-1", "", InterfaceStage.Ready, null)]
    [InlineData(IntentKind.Return, "eni-1", "", InterfaceStage.Ready, BlockStage.Returning)]
    public void What_is_under_way(IntentKind kind, string eniId, string attachmentId, InterfaceStage expected, BlockStage? block)
    {
        ImmutableArray<Block> names = kind switch
        {
            IntentKind.AddInterface => [new Block(First), new Block(First + 1)], // Its own address first.
            IntentKind.DrawCounted => [], // EC2 names them in its answer.
            _ => [new Block(First)],
        };
        var life = Lives(new NodeDocument
        {
            Interfaces = [Eni], Intents = [new Intent { Id = "1", Kind = kind, EniId = eniId, SubnetId = "subnet-a", Count = 1, Names = names, AttachmentId = attachmentId }],
        }).Last();
        Assert.Equal((expected, block), (life.Interface, life.Stage));
    }

    [Theory]
    [InlineData(true, false, InterfaceStage.Ready)]
    [InlineData(false, false, InterfaceStage.SettingUp)]
    [InlineData(true, true, InterfaceStage.Lost)]
    public void An_interface_without_blocks(bool isSetUp, bool isLost, InterfaceStage expected)
    {
        var life = Assert.Single(NodeLives.Of(new NodeDocument { Interfaces = [Eni with { IsLost = isLost }] }, isSetUp ? new HashSet<string> { "eni-1" } : [], _ => null, _ => true));
        Assert.Equal((expected, (Block?)null, (BlockStage?)null), (life.Interface, life.Block, life.Stage));
    }

    [Fact]
    public void An_interface_whose_subnet_is_excluded() => Assert.Equal(InterfaceStage.Excluded,
        Assert.Single(NodeLives.Of(new NodeDocument { Interfaces = [Eni] }, new HashSet<string> { "eni-1" }, _ => null, _ => true, eni => eni.SubnetId == "subnet-a")).Interface);

    private static EniDocument Eni => new()
    {
        EniId = "eni-1", Mac = "02:00:00:00:00:01", DeviceIndex = 0, NetworkCard = 0, SubnetId = "subnet-a", SubnetCidr = Cidr.Parse("10.0.0.0/24"), PrimaryAddress = Ip.Parse("10.0.0.4"),
    };

    private static ImmutableArray<BlockLife> Lives(NodeDocument document, bool isOnPod = false, bool isRested = true) =>
        NodeLives.Of(document, new HashSet<string> { "eni-1" }, _ => isOnPod ? Pod : null, _ => isRested);
}
