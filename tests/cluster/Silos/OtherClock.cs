using System.Diagnostics;
using System.IO.MemoryMappedFiles;

namespace AwsVpcCni.Tests.Cluster.Silos;

/// <summary>A wall clock that is off, for a process that is started with <see cref="Environment"/>: a library before libc's, which adds what stands in a
/// file. Clocks that measure how long something takes are as they are.</summary>
internal sealed class OtherClock : IDisposable
{
    private const string Source =
        """
        #define _GNU_SOURCE
        #include <dlfcn.h>
        #include <fcntl.h>
        #include <stdlib.h>
        #include <sys/mman.h>
        #include <time.h>
        static const volatile long *off;
        static int (*real)(clockid_t, struct timespec *);
        __attribute__((constructor)) static void start(void)
        {
            off = mmap(0, sizeof *off, PROT_READ, MAP_SHARED, open(getenv("OTHER_CLOCK"), O_RDONLY), 0);
            real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
        }
        int clock_gettime(clockid_t clock, struct timespec *now)
        {
            int failed = real(clock, now);
            if (!failed && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
                now->tv_sec += *off;
            return failed;
        }
        """;

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("avc-clock-");
    private readonly MemoryMappedFile _file;
    private readonly MemoryMappedViewAccessor _offset;

    /// <param name="off">What it is off at first; whole seconds.</param>
    public OtherClock(TimeSpan off)
    {
        var (source, library, file) = (Path.Combine(_folder.FullName, "clock.c"), Path.Combine(_folder.FullName, "clock.so"), Path.Combine(_folder.FullName, "seconds"));
        File.WriteAllText(source, Source);
        using var compiler = Process.Start("gcc", ["-shared", "-fPIC", "-O1", "-o", library, source]);
        compiler.WaitForExit();
        if (compiler.ExitCode != 0)
        {
            _folder.Delete(recursive: true);
            throw new InvalidOperationException("gcc has not made the clock.");
        }

        _file = MemoryMappedFile.CreateFromFile(file, FileMode.CreateNew, null, sizeof(long));
        _offset = _file.CreateViewAccessor();
        Off = off;
        Environment = new() { ["LD_PRELOAD"] = library, ["OTHER_CLOCK"] = file };
    }

    public Dictionary<string, string> Environment { get; }

    /// <summary>May be changed while processes run.</summary>
    public TimeSpan Off
    {
        set => _offset.Write(0, (long)value.TotalSeconds);
    }

    public void Dispose()
    {
        _offset.Dispose();
        _file.Dispose();
        _folder.Delete(recursive: true);
    }
}
