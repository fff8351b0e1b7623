using System.Collections.Immutable;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.Grains.Node;
using AwsVpcCni.Grains.Storage;
using CsCheck;
using Xunit;

namespace AwsVpcCni.Tests.Unit.Grains.Node;

public sealed class AddressUseTests
{
    private static readonly DateTimeOffset Now = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);
    private static readonly PodName Pod = new("default", "pod", "");
    private static readonly Ip[] Addresses = [.. Enumerable.Range(0, 4).Select(n => Ip.Parse("10.0.0.4") + n)];
    private static readonly SandboxKey[] Sandboxes = [.. Enumerable.Range(0, 3).Select(n => new SandboxKey($"container{n}", "eth0"))];

    private static readonly Gen<Step> Steps = Gen.Select(
        Gen.Enum<Kind>(), Gen.Int[0, 3].Select(n => Addresses[n]), Gen.Int[0, 2].Select(n => Sandboxes[n]), Gen.Int[1, 4], Gen.Bool,
        (kind, address, sandbox, number, isReleased) => new Step(kind, address, sandbox, new Stamp(1, number), isReleased));

    [Fact]
    public void What_is_kept_beside_the_rows_is_what_a_walk_over_all_of_them_finds() => Steps.Array[1, 40].Sample(steps =>
    {
        var (use, model) = (new AddressUse(), new Model());
        foreach (var step in steps)
        {
            step.On(use);
            model.Apply(step);
            Assert.Equal(Addresses.Where(model.IsOnPod), Addresses.Where(use.IsOnPod));
            Assert.Equal(model.Rows.Values.Where(row => row.Released is null), use.Standing);
            Assert.All(Sandboxes, sandbox => Assert.Equal(model.Rows.Values.Where(row => row.Released is null && row.Sandbox == sandbox), use.RowsOf(sandbox)));
        }
    });

    [Fact]
    public void The_later_of_two_moments_of_getting_free_holds()
    {
        var use = new AddressUse();
        use.Set(new Step(Kind.Set, Addresses[0], Sandboxes[0], new Stamp(1, 1), IsReleased: true).Row);
        Assert.Equal(TimeSpan.FromSeconds(10), use.Rested(Addresses[0], Now.AddSeconds(10)));

        use.Report(Report([]) with { Freed = [new Resting(Addresses[0], FreedSeconds: 2)] }, Now.AddSeconds(5));
        Assert.Equal(TimeSpan.FromSeconds(7), use.Rested(Addresses[0], Now.AddSeconds(10)));
        Assert.Null(use.Rested(Addresses[1], Now));
    }

    private static NodeReport Report(ImmutableArray<Claim> claims) => new()
    {
        Stamp = new Stamp(1, 100), SettledNumber = 0, LeaseVersion = 1, Leased = [], Claims = claims, Waiting = [], Freed = [], Ended = [], InterfacesSetUp = [],
    };

    private enum Kind
    {
        Set,
        Wrote,
        Pick,
        Remove,
        ReportOne,
        ReportNone,
    }

    private sealed record Step(Kind Kind, Ip Address, SandboxKey Sandbox, Stamp Stamp, bool IsReleased)
    {
        public AddressRow Row => new()
        {
            NodeId = "i-0", Address = Address, Sandbox = Sandbox, Pod = AddressUseTests.Pod, Stamp = Stamp, Since = Now, Released = IsReleased ? Now : null,
        };

        public ImmutableArray<Claim> Claims =>
            Kind == Kind.ReportOne ? [new Claim(Sandbox, Pod, Address, "eni-0", Stamp, HeldSeconds: 1)] : [];

        public void On(AddressUse use)
        {
            switch (Kind)
            {
                case Kind.Set: use.Set(Row); break;
                case Kind.Wrote: use.Wrote(Row); break;
                case Kind.Pick: use.Pick(Address, Sandbox, AddressUseTests.Pod); break;
                case Kind.Remove: use.Remove(Address); break;
                default: use.Report(Report(Claims), Now); break;
            }
        }
    }

    /// <summary>The same without anything kept beside.</summary>
    private sealed class Model
    {
        private readonly HashSet<Ip> picked = [];
        private ImmutableArray<Claim> claims = [];

        public SortedDictionary<Ip, AddressRow> Rows { get; } = [];

        public void Apply(Step step)
        {
            switch (step.Kind)
            {
                case Kind.Set or Kind.Wrote:
                    Rows[step.Address] = step.Row;
                    _ = step.Kind == Kind.Wrote && picked.Remove(step.Address);
                    break;
                case Kind.Pick: picked.Add(step.Address); break;
                case Kind.Remove: Rows.Remove(step.Address); break;
                default: claims = step.Claims; break;
            }
        }

        public bool IsOnPod(Ip address)
        {
            var row = Rows.GetValueOrDefault(address);
            return row is { Released: null } || picked.Contains(address) || claims.Any(claim =>
                claim.Address == address && !(row?.Released is not null && row.Sandbox == claim.Sandbox && row.Stamp >= claim.Stamp));
        }
    }
}
