using System.Collections.Immutable;
using AwsVpcCni.Core.Subnets;

namespace AwsVpcCni.Tests.Unit.Core.Subnets;

/// <summary>How the addresses that a subnet has in use come and go: four kinds, by seed, a figure each half hour.</summary>
internal static class UsageShapes
{
    private const int Day = UsageHistory.SlotsADay;

    /// <summary>Names for <see cref="Of"/>.</summary>
    public static readonly ImmutableArray<string> All = ["diurnal", "linear", "deploys", "jobs"];

    /// <summary>So many days of one kind.</summary>
    public static int[] Of(string shape, int days, Random random)
    {
        Func<int, double> at = shape switch
        {
            "diurnal" => Diurnal(random),
            "linear" => Linear(random),
            "deploys" => Deploys(random),
            "jobs" => Jobs(random),
            _ => throw new ArgumentOutOfRangeException(nameof(shape), shape, "no such shape"),
        };
        var (floor, noise) = (400 + (200 * random.NextDouble()), 0.0);
        return [.. Enumerable.Range(0, days * Day).Select(slot =>
        {
            noise = (0.8 * noise) + (4 * Normal(random));
            return Math.Max(0, (int)(floor + at(slot) + noise));
        })];
    }

    /// <summary>A day's course, each day another strength of it, that grows by up to 10 addresses a day.</summary>
    private static Func<int, double> Diurnal(Random random)
    {
        var (height, growth, phase, strength) = (80 + (120 * random.NextDouble()), 10 * random.NextDouble(), 2 * Math.PI * random.NextDouble(), 1.0);
        return slot =>
        {
            strength = slot % Day == 0 ? 1 + (0.1 * Normal(random)) : strength;
            return (growth * slot / Day) + (height * strength * Math.Sin((2 * Math.PI * slot / Day) + phase));
        };
    }

    /// <summary>15 to 45 addresses more each day.</summary>
    private static Func<int, double> Linear(Random random)
    {
        var (growth, level) = (15 + (30 * random.NextDouble()), 0.0);
        return _ => level += growth / Day * (1 + (0.5 * Normal(random)));
    }

    /// <summary>1.2 deploys a day, 20 to 80 addresses more; three in ten give back 0.6 of such.</summary>
    private static Func<int, double> Deploys(Random random)
    {
        var level = 0.0;
        return _ => level += random.NextDouble() < 1.2 / Day ? (random.NextDouble() < 0.7 ? 1 : -0.6) * (20 + (60 * random.NextDouble())) : 0;
    }

    /// <summary>2 to 6 jobs a day, half an hour to three hours each, of 20 addresses and more, 80 on average; growth as of up to 5 addresses a day.</summary>
    private static Func<int, double> Jobs(Random random)
    {
        var (rate, growth, running) = (2 + (4 * random.NextDouble()), 5 * random.NextDouble(), new List<(int End, double Size)>());
        return slot =>
        {
            running.RemoveAll(job => job.End <= slot);
            if (random.NextDouble() < rate / Day)
            {
                running.Add((slot + 1 + random.Next(6), 20 - (60 * Math.Log(1 - random.NextDouble()))));
            }

            return (growth * slot / Day) + running.Sum(job => job.Size);
        };
    }

    private static double Normal(Random random) => Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble());
}
