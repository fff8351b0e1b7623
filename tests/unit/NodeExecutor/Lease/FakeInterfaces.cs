using AwsVpcCni.Core.Contracts;
using AwsVpcCni.NodeExecutor.Lease;

namespace AwsVpcCni.Tests.Unit.NodeExecutor.Lease;

/// <summary>A machine whose interfaces are as the test says.</summary>
internal sealed class FakeInterfaces : IHostInterfaces
{
    public List<string> LetGo { get; } = [];

    public int Looks { get; private set; }

    public Func<InterfaceOrder, InterfaceState> OnSetUp { get; set; } = _ => InterfaceState.Ready;

    public bool LetsGo { get; set; } = true;

    public Task<InterfaceState> SetUpAsync(InterfaceOrder order)
    {
        Looks++;
        return Task.FromResult(OnSetUp(order));
    }

    public Task<bool> LetGoAsync(InterfaceOrder order)
    {
        LetGo.Add(order.EniId);
        return Task.FromResult(LetsGo);
    }
}
