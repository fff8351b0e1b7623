using System.Globalization;

namespace AwsVpcCni.Benchmarks;

/// <summary>What is printed last: one figure a line, for programs.</summary>
internal sealed class Figures
{
    private readonly Dictionary<string, double> values = [];

    public double this[string name]
    {
        get => values[name];
        set => values[name] = value;
    }

    public static double Median(IEnumerable<double> values)
    {
        double[] sorted = [.. values.Order()];
        return sorted.Length == 0 ? throw new InvalidOperationException("There is nothing to take a median of.")
            : (sorted[(sorted.Length - 1) / 2] + sorted[sorted.Length / 2]) / 2;
    }

    /// <summary>The smallest value that 99 of 100 do not exceed.</summary>
    public static double P99(IEnumerable<double> values)
    {
        double[] sorted = [.. values.Order()];
        return sorted[(int)Math.Ceiling(sorted.Length * 0.99) - 1];
    }

    public void Print()
    {
        foreach (var (name, value) in values)
        {
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{name}: {value:0.000}"));
        }
    }
}
