using System.Net;
using System.Net.Sockets;
using AwsVpcCni.VpcEmulator.Control;
using AwsVpcCni.VpcEmulator.Ec2Api;

namespace AwsVpcCni.VpcEmulator;

/// <summary>One listening socket behind which the EC2 API and the control API answer.</summary>
internal sealed class Door : IAsyncDisposable
{
    private readonly Socket _socket;
    private readonly WebApplication _application;

    private Door(Socket socket, Ec2Endpoint ec2, ControlApi control)
    {
        _socket = socket;
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().ConfigureKestrel(options =>
        {
            options.AddServerHeader = false;
            options.ListenHandle((ulong)socket.Handle);
        });
        _application = builder.Build();
        _application.Run(context => context.Request.Path.StartsWithSegments(ControlApi.Path, StringComparison.Ordinal)
            ? control.AnswerAsync(context)
            : ec2.AnswerAsync(context));
    }

    /// <summary>With the port that the kernel has given, when the wanted one was 0.</summary>
    public IPEndPoint Endpoint => (IPEndPoint)_socket.LocalEndPoint!;

    /// <param name="socket">Listening already, in whatever namespace. The door owns it from then on.</param>
    public static async Task<Door> OpenAsync(Socket socket, Ec2Endpoint ec2, ControlApi control)
    {
        var door = new Door(socket, ec2, control);
        await door._application.StartAsync();
        return door;
    }

    public async ValueTask DisposeAsync()
    {
        await _application.DisposeAsync();
        _socket.Dispose();
    }
}
