using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Grains.Storage;
using Orleans.Storage;
using Xunit;

namespace AwsVpcCni.Tests.Cluster.Storage;

/// <summary>What every provider's document storage must do. One small class for each provider.</summary>
public abstract class GrainStorageContract
{
    private static readonly GrainId Node = GrainId.Create("node", "i-0000000000000001");

    private protected abstract IGrainStorage Storage { get; }

    /// <summary>A storage that has nothing of the first one's memory, only what that stored.</summary>
    private protected abstract IGrainStorage Reopen();

    [Fact]
    public async Task What_was_never_written_is_a_new_document_without_tag()
    {
        var state = await ReadAsync(Storage);

        Assert.False(state.RecordExists);
        Assert.Null(state.ETag);
        Assert.Equal(0, state.State!.Count);
    }

    [Fact]
    public async Task A_document_is_read_back_as_it_was_written_also_after_a_restart()
    {
        var written = await WriteAsync(7);

        foreach (var reopened in new[] { false, true })
        {
            var state = await ReadAsync(reopened ? Reopen() : Storage);
            Assert.True(state.RecordExists);
            Assert.Equal(written.ETag, state.ETag);
            Assert.Equal((7, Ip.Parse("10.0.0.7")), (state.State!.Count, state.State!.Address));
        }
    }

    [Fact]
    public async Task Documents_of_other_names_and_grains_are_apart()
    {
        await WriteAsync(7);

        Assert.False((await ReadAsync(Storage, "other")).RecordExists);
        Assert.False((await ReadAsync(Storage, "document", GrainId.Create("node", "i-0000000000000002"))).RecordExists);
    }

    [Fact]
    public async Task Each_write_has_another_tag()
    {
        var state = await WriteAsync(1);
        var first = state.ETag;
        state.State = new Document { Count = 2 };
        await Storage.WriteStateAsync("document", Node, state);

        Assert.NotEqual(first, state.ETag);
        Assert.Equal(state.ETag, (await ReadAsync(Storage)).ETag);
    }

    [Fact]
    public async Task A_write_over_a_version_that_was_not_read_is_refused_and_changes_nothing()
    {
        var stale = await WriteAsync(1);
        var fresh = await ReadAsync(Storage);
        fresh.State = new Document { Count = 2 };
        await Storage.WriteStateAsync("document", Node, fresh);

        stale.State = new Document { Count = 3 };
        await Assert.ThrowsAsync<InconsistentStateException>(() => Storage.WriteStateAsync("document", Node, stale));
        await Assert.ThrowsAsync<InconsistentStateException>(() => Storage.ClearStateAsync("document", Node, stale));
        await Assert.ThrowsAsync<InconsistentStateException>(() => WriteAsync(4)); // As if it were the first.

        var stored = await ReadAsync(Storage);
        Assert.Equal((2, fresh.ETag), (stored.State!.Count, stored.ETag));
    }

    [Fact]
    public async Task Of_many_writes_over_one_version_exactly_one_wins()
    {
        await WriteAsync(0);
        var rivals = new List<GrainState<Document>>();
        foreach (var number in Enumerable.Range(1, 16))
        {
            var rival = await ReadAsync(Storage);
            rival.State = new Document { Count = number };
            rivals.Add(rival);
        }

        var won = await Task.WhenAll(rivals.Select(rival => Task.Run(() => TryWriteAsync(rival))));

        Assert.Equal(1, won.Count(one => one));
        Assert.Equal(rivals[Array.IndexOf(won, true)].State!.Count, (await ReadAsync(Storage)).State!.Count);
    }

    [Fact]
    public async Task Of_many_first_writes_exactly_one_wins()
    {
        var rivals = Enumerable.Range(1, 16).Select(number => new GrainState<Document>(new Document { Count = number })).ToList();

        var won = await Task.WhenAll(rivals.Select(rival => Task.Run(() => TryWriteAsync(rival))));

        Assert.Equal(1, won.Count(one => one));
    }

    [Fact]
    public async Task A_cleared_document_is_gone_and_an_old_tag_does_not_fit_its_successor()
    {
        var before = await WriteAsync(1);
        var clearing = await ReadAsync(Storage);
        await Storage.ClearStateAsync("document", Node, clearing);
        Assert.False(clearing.RecordExists);
        Assert.Equal(0, clearing.State!.Count);

        var next = await ReadAsync(Storage);
        Assert.False(next.RecordExists);
        next.State = new Document { Count = 2 };
        await Storage.WriteStateAsync("document", Node, next);

        await Assert.ThrowsAsync<InconsistentStateException>(() => Storage.WriteStateAsync("document", Node, before));
        Assert.Equal(2, (await ReadAsync(Storage)).State!.Count);
    }

    [Fact]
    public async Task Of_many_that_count_in_one_document_none_loses_a_count()
    {
        const int Writers = 8, Turns = 5;
        await WriteAsync(0);
        async Task CountAsync()
        {
            for (var turn = 0; turn < Turns;)
            {
                var state = await ReadAsync(Storage);
                state.State = new Document { Count = state.State!.Count + 1 };
                turn += await TryWriteAsync(state) ? 1 : 0;
            }
        }

        await Task.WhenAll(Enumerable.Range(1, Writers).Select(_ => Task.Run(CountAsync)));

        Assert.Equal(Writers * Turns, (await ReadAsync(Reopen())).State!.Count);
    }

    [Fact]
    public async Task After_a_write_the_same_activation_writes_and_clears_on()
    {
        var state = await WriteAsync(1);
        await Storage.WriteStateAsync("document", Node, state);
        await Storage.ClearStateAsync("document", Node, state);

        Assert.False((await ReadAsync(Storage)).RecordExists);
    }

    [Fact]
    public async Task A_document_that_is_not_one_of_this_version_is_an_error_and_not_a_new_document()
    {
        await Storage.WriteStateAsync("document", Node, new GrainState<OtherDocument>(new OtherDocument { Count = "many" }));

        var error = await Assert.ThrowsAsync<StoreException>(() => ReadAsync(Storage));
        Assert.Contains($"document of {Node}: the stored document cannot be understood", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_document_of_a_large_subnet_is_kept()
    {
        var text = string.Concat(Enumerable.Range(0, 60_000).Select(number => $"{number:00000}"));
        await Storage.WriteStateAsync("document", Node, new GrainState<OtherDocument>(new OtherDocument { Count = text }));

        var read = new GrainState<OtherDocument>();
        await Reopen().ReadStateAsync("document", Node, read);
        Assert.Equal(text, read.State!.Count);
    }

    /// <summary>A store that is lost, or restored, under a running silo: an activation of before has read the number to which the document comes again.</summary>
    private protected async Task A_state_of_before_the_loss_does_not_fit_a_document_of_afterwards(Func<Task> loseAsync)
    {
        var before = await WriteAsync(1);
        await Storage.WriteStateAsync("document", Node, before);
        await loseAsync();
        var after = await WriteAsync(2);
        await Storage.WriteStateAsync("document", Node, after);

        before.State = new Document { Count = 3 };
        await Assert.ThrowsAsync<InconsistentStateException>(() => Storage.WriteStateAsync("document", Node, before));
        await Assert.ThrowsAsync<InconsistentStateException>(() => Storage.ClearStateAsync("document", Node, before));

        var stored = await ReadAsync(Storage);
        Assert.Equal((2, after.ETag), (stored.State!.Count, stored.ETag));
        await Storage.WriteStateAsync("document", Node, after); // Whoever has written it goes on.
    }

    private async Task<GrainState<Document>> WriteAsync(int count)
    {
        var state = new GrainState<Document>(new Document { Count = count, Address = Ip.Parse($"10.0.0.{count}") });
        await Storage.WriteStateAsync("document", Node, state);
        return state;
    }

    private async Task<bool> TryWriteAsync(GrainState<Document> state)
    {
        try
        {
            await Storage.WriteStateAsync("document", Node, state);
            return true;
        }
        catch (InconsistentStateException)
        {
            return false;
        }
    }

    private static async Task<GrainState<Document>> ReadAsync(IGrainStorage storage, string name = "document", GrainId? grain = null)
    {
        var state = new GrainState<Document>();
        await storage.ReadStateAsync(name, grain ?? Node, state);
        return state;
    }

    private sealed class Document
    {
        public int Count { get; init; }

        public Ip Address { get; init; }
    }

    /// <summary>Another version's, with its own idea of what a count is.</summary>
    private sealed class OtherDocument
    {
        public string Count { get; init; } = "";
    }
}
