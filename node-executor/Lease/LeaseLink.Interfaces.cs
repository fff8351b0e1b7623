using AwsVpcCni.Core.Contracts;
using Microsoft.Extensions.Logging;

namespace AwsVpcCni.NodeExecutor.Lease;

/// <summary>Keeps the kernel's interfaces as they were ordered: at once after a change, often while one is missing, else now and then.</summary>
public sealed partial class LeaseLink
{
    private readonly Pulse interfacesChanged = new();
    private readonly Dictionary<string, InterfaceState> looked = new(StringComparer.Ordinal); // What the last look has found, of those ordered.

    /// <summary>Has the interfaces looked at whenever this machine's links, routes or rules have changed: one has come, or others have changed it.</summary>
    /// <param name="changes">Whose task ends with the next change.</param>
    internal async Task ListenAsync(Func<Task> changes, CancellationToken cancellation)
    {
        for (var changed = changes(); !cancellation.IsCancellationRequested; )
        {
            await time.ForAsync(changed, options.SyncPeriod, cancellation);
            if (changed.IsCompleted)
            {
                changed = changes(); // Before the look.
                interfacesChanged.Fire();
            }
        }
    }

    private async Task InterfaceLoopAsync(CancellationToken cancellation)
    {
        var often = Now + options.LookOftenFor;
        var changed = interfacesChanged.Next;
        while (true)
        {
            // A link that EC2 is attaching comes within seconds. After a while only a person can help, and no haste is needed.
            var isMissing = Lease.Interfaces.Keys.Any(eni => !Lease.InterfacesSetUp.Contains(eni));
            await time.ForAsync(changed, isMissing && Now < often ? options.AskAgain : options.SyncPeriod, cancellation);
            if (cancellation.IsCancellationRequested)
            {
                return;
            }

            often = changed.IsCompleted || !isMissing ? Now + options.LookOftenFor : often;
            changed = interfacesChanged.Next; // What comes during the look wants another one.
            await LookAtInterfacesAsync();
        }
    }

    private async Task LookAtInterfacesAsync()
    {
        foreach (var order in Lease.Interfaces.Values)
        {
            // One that is to go stays in the file until the kernel is rid of it: killed in between, the next start knows it still.
            await (Lease.InterfacesLeaving.Contains(order.EniId) ? LetGoAsync(order) : SetUpAsync(order));
        }
    }

    private async Task SetUpAsync(InterfaceOrder order)
    {
        var state = await interfaces.SetUpAsync(order);
        if (Lease.Interfaces.GetValueOrDefault(order.EniId) != order || Lease.InterfacesLeaving.Contains(order.EniId))
        {
            return; // Other orders have come meanwhile, and the loop goes round again for them.
        }

        looked[order.EniId] = state;
        var setUp = state switch
        {
            InterfaceState.Ready => Lease.InterfacesSetUp.Add(order.EniId),
            InterfaceState.Absent => Lease.InterfacesSetUp.Remove(order.EniId),
            _ => Lease.InterfacesSetUp,
        };
        if (setUp != Lease.InterfacesSetUp)
        {
            Lease = Lease with { InterfacesSetUp = setUp };
            reportWanted.Fire();
            news.Fire();
        }
    }

    private async Task LetGoAsync(InterfaceOrder order)
    {
        if (!await interfaces.LetGoAsync(order) || !Lease.InterfacesLeaving.Contains(order.EniId))
        {
            return;
        }

        Lease = Lease.WithoutLeaving(order);
        looked.Remove(order.EniId);
        LogLetGo(order.EniId);
        try
        {
            store.Save(Lease);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            NotWritten(e); // The next start lets it go once more.
        }
    }

    [LoggerMessage(EventId = 3131, Level = LogLevel.Information, Message = "Interface {EniId} is out of use: its rule and routes are gone.")]
    private partial void LogLetGo(string eniId);
}
