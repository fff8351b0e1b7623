using System.Diagnostics.Metrics;
using AwsVpcCni.Core.Metrics;

namespace AwsVpcCni.Silo.Metrics;

/// <summary>What this process's own meters have counted. Counters add up from its making on; the others are read when they are asked for.</summary>
internal sealed class MeterReadings : IDisposable
{
    /// <summary>Series of all counters. Tags are of enumerations and of the settings' tables: more is a defect, and is not kept.</summary>
    private const int Most = 1000;

    private readonly Lock _gate = new();
    private readonly MeterListener _listener = new();
    private readonly HashSet<Instrument> _instruments = [];
    private readonly Dictionary<(Instrument Instrument, string Labels), double> _counted = [];
    private readonly Dictionary<(Instrument Instrument, string Labels), double> _observed = [];

    /// <param name="scopes">Of the meters: those of other silos in the same process are none of ours.</param>
    public MeterReadings(IReadOnlyCollection<object> scopes)
    {
        _listener.InstrumentPublished = (instrument, listener) =>
        {
            if (instrument.Meter.Scope is { } scope && scopes.Contains(scope))
            {
                lock (_gate)
                {
                    _instruments.Add(instrument);
                }

                listener.EnableMeasurementEvents(instrument);
            }
        };
        _listener.SetMeasurementEventCallback<int>((instrument, value, tags, _) => Measured(instrument, value, tags));
        _listener.SetMeasurementEventCallback<long>((instrument, value, tags, _) => Measured(instrument, value, tags));
        _listener.SetMeasurementEventCallback<double>((instrument, value, tags, _) => Measured(instrument, value, tags));
        _listener.Start();
    }

    /// <summary>A family an instrument, also one that has no series yet. Names as Prometheus wants them: <c>aws_vpc_cni.retired_nodes</c>, a counter, is <c>retired_nodes_total</c>.</summary>
    /// <param name="prefix">What the names begin with, and the text puts before each itself.</param>
    public void WriteTo(PrometheusText text, string prefix)
    {
        lock (_gate)
        {
            _observed.Clear();
            _listener.RecordObservableInstruments(); // Calls back here; the lock is this thread's.
            foreach (var instrument in _instruments.OrderBy(one => one.Name, StringComparer.Ordinal))
            {
                var name = instrument.Name.Replace('.', '_');
                text.Family(
                    $"{(name.StartsWith(prefix, StringComparison.Ordinal) ? name[prefix.Length..] : name)}{(IsCounter(instrument) ? "_total" : "")}", IsCounter(instrument) ? "counter" : "gauge", instrument.Description ?? "",
                    _counted.Concat(_observed).Where(one => one.Key.Instrument == instrument).OrderBy(one => one.Key.Labels, StringComparer.Ordinal).Select(one => (one.Key.Labels, one.Value)));
            }
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _listener.Dispose();

    private static bool IsCounter(Instrument instrument) => instrument.GetType() is { IsGenericType: true } type && (type.GetGenericTypeDefinition() == typeof(Counter<>) || type.GetGenericTypeDefinition() == typeof(ObservableCounter<>));

    private void Measured(Instrument instrument, double value, ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        var labels = "";
        foreach (var (name, tag) in tags)
        {
            labels = $"{labels}{(labels.Length == 0 ? "" : ",")}{PrometheusText.Label(name, tag?.ToString() ?? "")}";
        }

        lock (_gate)
        {
            if (instrument.IsObservable)
            {
                _observed[(instrument, labels)] = value;
            }
            else if (_counted.Count < Most || _counted.ContainsKey((instrument, labels)))
            {
                _counted[(instrument, labels)] = _counted.GetValueOrDefault((instrument, labels)) + value;
            }
        }
    }
}
