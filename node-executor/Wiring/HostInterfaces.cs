using AwsVpcCni.Core.Contracts;
using AwsVpcCni.NodeExecutor.Lease;
using Microsoft.Extensions.Logging;

namespace AwsVpcCni.NodeExecutor.Wiring;

/// <summary>The interfaces of this machine, primary and secondary; says what becomes of each once, not at each look.</summary>
/// <remarks>On pool threads: the kernel may take its time, and the lease must not wait for it.</remarks>
internal sealed partial class HostInterfaces(int mtu, Repairs repairs, TimeProvider time, ILogger log) : IHostInterfaces
{
    private static readonly TimeSpan KernelDeadline = TimeSpan.FromSeconds(10);

    private readonly Dictionary<string, string> said = new(StringComparer.Ordinal); // As many as the node has interfaces.
    private readonly Repeated failures = new(time);
    private readonly Dictionary<string, InterfaceOrder> ready = new(StringComparer.Ordinal); // As set up last, of those.

    /// <inheritdoc/>
    public Task<InterfaceState> SetUpAsync(InterfaceOrder order) => Task.Run(() => SetUp(order));

    /// <inheritdoc/>
    public Task<bool> LetGoAsync(InterfaceOrder order) => Task.Run(() => LetGo(order));

    private InterfaceState SetUp(InterfaceOrder order)
    {
        try
        {
            var whenChanged = ready.GetValueOrDefault(order.EniId) == order ? repairs : null;
            var link = IsPrimary(order)
                ? HostSetup.Apply(order.Mac, mtu, KernelDeadline, whenChanged)
                : InterfaceSetup.Apply(order, mtu, KernelDeadline, whenChanged);
            if (link is null)
            {
                ready.Remove(order.EniId);
                if (IsNews(order, "absent"))
                {
                    LogAbsent(order.EniId, order.Mac, order.DeviceIndex);
                }

                return InterfaceState.Absent;
            }

            ready[order.EniId] = order;
            if (IsNews(order, "ready") || (link.IsChanged && whenChanged is null))
            {
                LogReady(order.EniId, link.Name);
            }

            if (link.Refused is { } refused)
            {
                Say($"Interface {order.EniId} serves with another MTU than is set: {refused} Set AWS_VPC_ENI_MTU to what its device can take.");
            }

            return InterfaceState.Ready;
        }
        catch (WiringException e)
        {
            said[order.EniId] = "not ready";
            Say($"Interface {order.EniId} is not set up: {e.Message}");

            return InterfaceState.Unclear;
        }
    }

    private bool LetGo(InterfaceOrder order)
    {
        try
        {
            if (!IsPrimary(order)) // What the primary one has is the node's.
            {
                InterfaceSetup.Remove(order, KernelDeadline);
            }

            said.Remove(order.EniId);
            ready.Remove(order.EniId);
            return true;
        }
        catch (WiringException e)
        {
            Say($"Interface {order.EniId} is not out of use yet, and will be tried again: {e.Message}");

            return false;
        }
    }

    private static bool IsPrimary(InterfaceOrder order) => PodWiring.TableOf(order.NetworkCard, order.DeviceIndex) == PodWiring.MainTable;

    private bool IsNews(InterfaceOrder order, string state)
    {
        var isNews = said.GetValueOrDefault(order.EniId) != state;
        said[order.EniId] = state;
        return isNews;
    }

    private void Say(string failure)
    {
        if (failures.Say(failure) is { } line)
        {
            LogFailed(line);
        }
    }

    [LoggerMessage(EventId = 3006, Level = LogLevel.Information, Message = "Interface {EniId} is set up as {Name}.")]
    private partial void LogReady(string eniId, string name);

    [LoggerMessage(EventId = 3007, Level = LogLevel.Warning, Message = "{Failure}")]
    private partial void LogFailed(string failure);

    [LoggerMessage(EventId = 3009, Level = LogLevel.Information, Message = "Interface {EniId} is not there: no link has {Mac} (device {DeviceIndex}). EC2 attaches it, or has detached it; it is looked for.")]
    private partial void LogAbsent(string eniId, string mac, int deviceIndex);
}
