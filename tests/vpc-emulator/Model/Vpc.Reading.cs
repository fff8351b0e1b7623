namespace AwsVpcCni.VpcEmulator.Model;

/// <content>What readers are shown: the truth, or what it was a while ago.</content>
public sealed partial class Vpc
{
    private readonly HashSet<Eni> _changed = [];
    private readonly Dictionary<string, IReadOnlyList<Eni>> _stuck = [];
    private InterfaceHistory? _history;
    private Random? _lags;

    /// <summary>May be changed at any time; what was changed before counts as long since known.</summary>
    /// <exception cref="ArgumentException">A lag that is not allowed; says which are.</exception>
    public ReadLag Lag
    {
        get;
        set
        {
            var lag = value.Checked();
            Advance();
            foreach (var freed in _stuck.Keys.Except(lag.ImdsStuck).ToList())
            {
                _stuck.Remove(freed);
            }

            foreach (var stuck in lag.ImdsStuck.Where(id => !_stuck.ContainsKey(id)))
            {
                _stuck[stuck] = [.. EnisOf(FindInstance(stuck) ?? throw Ec2Exception.NoInstance(stuck)).Where(IsInside).Select(eni => eni.Frozen())];
            }

            if (lag.LongestMs == 0)
            {
                _history = null;
            }
            else if (_history is null)
            {
                _history = new InterfaceHistory();
                foreach (var eni in _enis.Values)
                {
                    _history.Record(eni.Sequence, eni.Frozen(), DateTimeOffset.MinValue, DateTimeOffset.MinValue);
                }
            }

            _lags ??= lag == ReadLag.None ? null : new Random(_random.Next());
            field = lag;
        }
    } = ReadLag.None;

    /// <summary>The interfaces as a describe shows them to one reader, in the order in which they were made.</summary>
    /// <param name="reader">Whose view it is: a server of EC2's behind one answer, or a client. Two may disagree; one never goes back.</param>
    /// <returns>To be read at once: without lag they are the model's own.</returns>
    public IReadOnlyList<Eni> EnisSeenBy(string reader)
    {
        Advance();
        var all = _history is null || Lag.DescribeMs == 0
            ? Enis
            : _history.Read(reader, TimeSpan.FromMilliseconds(Lag.DescribeMs), _time.GetUtcNow(), _lags!);
        return [.. all.Where(IsVisible)];
    }

    /// <summary>An instance's interfaces as its metadata service shows them, the primary one first.</summary>
    /// <returns>Listed: all. Whole: false when only its MAC address is listed, and nothing below it is there yet. To be read at once.</returns>
    public IReadOnlyList<(Eni Eni, bool IsWhole)> EnisInMetadata(string instanceId)
    {
        Advance();
        if (_stuck.TryGetValue(instanceId, out var stuck))
        {
            return [.. stuck.Select(eni => (eni, true))];
        }

        bool Here(Eni? eni) => eni is not null && eni.Attachment?.Instance.Id == instanceId && IsInside(eni);
        if (_history is null || Lag.ImdsMs == 0)
        {
            return [.. InOrder(_enis.Values.Where(Here)).Select(eni => (eni, true))];
        }

        var lag = TimeSpan.FromMilliseconds(Lag.ImdsMs);
        var reader = "metadata of " + instanceId;
        var whole = _history.Read(reader, lag, _time.GetUtcNow(), _lags!).Where(Here).ToList();
        var half = _enis.Values.Where(eni => Here(eni) && !whole.Exists(other => other.Id == eni.Id) && Here(_history.Later(reader, eni.Sequence, lag / 2)));
        return [.. InOrder(whole).Select(eni => (eni, true)), .. InOrder(half).Select(eni => (eni, false))];
    }

    /// <summary>Notes what has changed since the last time.</summary>
    private void Record(DateTimeOffset at)
    {
        if (_history is not null && _changed.Count > 0)
        {
            var forget = _time.GetUtcNow() - TimeSpan.FromMilliseconds(Lag.LongestMs);
            foreach (var eni in _changed)
            {
                _history.Record(eni.Sequence, _enis.ContainsKey(eni.Id) ? eni.Frozen() : null, at, forget);
            }

            _history.DropGone(forget);
        }

        _changed.Clear();
    }

    private bool IsVisible(Eni eni) => eni.VisibleAt <= _time.GetUtcNow();

    /// <summary>Whether its instance sees it.</summary>
    private static bool IsInside(Eni eni) => eni.Attachment is { Status: not AttachmentStatus.Attaching };

    private static IOrderedEnumerable<Eni> InOrder(IEnumerable<Eni> enis) =>
        enis.OrderBy(eni => (eni.Attachment!.NetworkCardIndex, eni.Attachment.DeviceIndex));
}
