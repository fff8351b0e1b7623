using AwsVpcCni.Core.Addressing;

namespace AwsVpcCni.Core.Pool;

/// <summary>A free address that could go to a pod.</summary>
/// <param name="Address">Which.</param>
/// <param name="EniId">The interface that holds it.</param>
/// <param name="Rested">How long it has been free; null when no pod has had it.</param>
/// <param name="OnBlock">Pods on the other addresses of its prefix; 0 for a single address; negative for one that is on its way out.</param>
public readonly record struct FreeAddress(Ip Address, string EniId, TimeSpan? Rested, int OnBlock = 0);

/// <summary>Decides which free address a pod gets. Pure: the grain and the executor use the same.</summary>
public static class AddressPicker
{
    /// <summary>Long rested ones first, since peers' conntrack remembers the last pod; among these those that stay, and of
    /// these the fullest interface and prefix, so that the others empty and can be given back; then the longest rested; then the lowest.</summary>
    /// <param name="free">What could be taken. Those that have rested less than <paramref name="cooldown"/> are passed over.</param>
    /// <param name="onPods">How many addresses of an interface are on pods.</param>
    /// <param name="cooldown">No address is used before.</param>
    /// <param name="preferredRest">Those that have rested this long come first.</param>
    /// <returns>Null when none has rested.</returns>
    public static FreeAddress? Pick(IEnumerable<FreeAddress> free, Func<string, int> onPods, TimeSpan cooldown, TimeSpan preferredRest)
    {
        FreeAddress? best = null;
        foreach (var address in free)
        {
            if (IsRested(address.Rested, cooldown) && (best is not { } other || IsBetter(address, other, onPods, preferredRest)))
            {
                best = address;
            }
        }

        return best;
    }

    /// <summary>Whether an address may be used again.</summary>
    public static bool IsRested(TimeSpan? rested, TimeSpan cooldown) => rested is null || rested >= cooldown;

    private static bool IsBetter(FreeAddress one, FreeAddress other, Func<string, int> onPods, TimeSpan preferredRest)
    {
        var order = IsRested(one.Rested, preferredRest).CompareTo(IsRested(other.Rested, preferredRest));
        if (order == 0)
        {
            order = (one.OnBlock >= 0).CompareTo(other.OnBlock >= 0);
        }

        if (order == 0)
        {
            order = onPods(one.EniId).CompareTo(onPods(other.EniId));
        }

        if (order == 0)
        {
            order = one.OnBlock.CompareTo(other.OnBlock);
        }

        if (order == 0)
        {
            order = (one.Rested ?? TimeSpan.MaxValue).CompareTo(other.Rested ?? TimeSpan.MaxValue);
        }

        return order == 0 ? one.Address.CompareTo(other.Address) < 0 : order > 0;
    }
}
