namespace AwsVpcCni.Silo.Certificates;

/// <summary>Something that is made of files, which others replace while this process runs.</summary>
internal interface IFollowed
{
    /// <summary>Reads the files again.</summary>
    void Look();
}

/// <summary>The newest good state of some files. What is not good keeps the state before it, and is said.</summary>
/// <remarks>By content, not by a watch: a mounted secret is exchanged by renaming a link above the files. Two files that are replaced one after
/// the other do not fit in between, so what is wrong is said at the second look that finds it so.</remarks>
internal sealed partial class Followed<T> : IFollowed
    where T : class
{
    private readonly string _what;
    private readonly string[] _paths;
    private readonly Func<PemFile[], T> _make;
    private readonly Func<T, string> _describe;
    private readonly ILogger _logger;
    private PemFile[] _files;
    private volatile T _current;
    private string? _doubt;
    private string? _said;

    /// <param name="what">For the log.</param>
    /// <param name="make">From the files in the order of <paramref name="paths"/>.</param>
    /// <exception cref="InvalidDataException">They are not good now; or <see cref="IOException"/>: they cannot be read.</exception>
    public Followed(string what, string[] paths, Func<PemFile[], T> make, Func<T, string> describe, ILogger logger)
    {
        (_what, _paths, _make, _describe, _logger) = (what, paths, make, describe, logger);
        _files = [.. paths.Select(PemFile.Read)];
        _current = make(_files);
    }

    /// <summary>For what begins now.</summary>
    public T Current => _current;

    /// <inheritdoc/>
    public void Look()
    {
        string? doubt = null;
        try
        {
            PemFile[] files = [.. _paths.Select(PemFile.Read)];
            if (!files.SequenceEqual(_files))
            {
                _current = _make(files);
                _files = files;
                LogTaken(_what, _describe(_current));
            }
        }
        catch (Exception e) // Whatever is in the files: what runs goes on.
        {
            doubt = e.Message;
        }

        if (doubt is null)
        {
            _said = null;
        }
        else if (doubt == _doubt && doubt != _said)
        {
            LogKept(_what, _describe(_current), doubt);
            _said = doubt;
        }

        _doubt = doubt;
    }

    [LoggerMessage(EventId = 3023, Level = LogLevel.Information, Message = "{What}: what is in the files now holds for new connections: {Now}.")]
    private partial void LogTaken(string what, string now);

    [LoggerMessage(EventId = 3024, Level = LogLevel.Warning, Message = "{What}: what is in the files now is not good, and {Kept} is kept. {Why}")]
    private partial void LogKept(string what, string kept, string why);
}

/// <summary>Looks at the files again and again.</summary>
internal sealed class FileFollower(IEnumerable<IFollowed> followed, TimeProvider time) : BackgroundService
{
    /// <summary>From one look to the next one. A kubelet itself takes a minute or two to bring a changed secret.</summary>
    public static readonly TimeSpan Period = TimeSpan.FromSeconds(10);

    /// <inheritdoc/>
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(Period, time);
        while (await timer.WaitForNextTickAsync(stoppingToken))
        {
            foreach (var one in followed)
            {
                one.Look();
            }
        }
    }
}
