using AwsVpcCni.Core.Contracts;
using AwsVpcCni.NodeExecutor.Lease;
using AwsVpcCni.Tests.Simulation.Faults;
using AwsVpcCni.Tests.Simulation.Scheduling;
using AwsVpcCni.VpcEmulator.Model;

namespace AwsVpcCni.Tests.Simulation.Node;

/// <summary>The node's interfaces: there when EC2 has attached them.</summary>
internal sealed class SimInterfaces(Scheduler scheduler, Swarm faults, Func<string, Eni?> find) : IHostInterfaces
{
    public Task<InterfaceState> SetUpAsync(InterfaceOrder order) => AnswerAsync(() =>
        faults.Strikes(FaultKind.KernelRefuses) ? InterfaceState.Unclear
        : find(order.EniId) is { Attachment: { Status: not AttachmentStatus.Attaching } attachment } && attachment.DeviceIndex == order.DeviceIndex ? InterfaceState.Ready
        : InterfaceState.Absent);

    public Task<bool> LetGoAsync(InterfaceOrder order) => AnswerAsync(() => !faults.Strikes(FaultKind.KernelRefuses));

    private Task<T> AnswerAsync<T>(Func<T> look)
    {
        scheduler.RequireLane("an interface's set-up");
        var answer = new TaskCompletionSource<T>();
        scheduler.After(faults.Latency(), () => answer.TrySetResult(look()));
        return answer.Task;
    }
}
