using System.CommandLine;
using System.Globalization;
using System.Net;
using AwsVpcCni.Grains;
using AwsVpcCni.Silo.Certificates;
using AwsVpcCni.Silo.Hosting;
using AwsVpcCni.Silo.Options;
using AwsVpcCni.Silo.Views;
using Microsoft.Extensions.Options;
using Orleans.Configuration;

namespace AwsVpcCni.Silo.Cli;

/// <summary>A command's view of a running silo, as an Orleans client of its gateway.</summary>
internal sealed class ClusterClient : IAsyncDisposable
{
    private static readonly TimeSpan StartDeadline = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan CallDeadline = TimeSpan.FromSeconds(10);

    private readonly IHost _host;

    private ClusterClient(IHost host, IPEndPoint gateway, string clusterName, string vpcId, string? quotaKey)
    {
        (_host, Gateway, Views) = (host, gateway, new ClusterViews(host.Services.GetRequiredService<IClusterClient>(), clusterName, vpcId, quotaKey));
    }

    /// <summary>Of the silo that is asked.</summary>
    public IPEndPoint Gateway { get; }

    /// <summary>Of the VPC that the command is about.</summary>
    public ClusterViews Views { get; }

    /// <summary>A command that asks a silo.</summary>
    /// <param name="ask">What to ask; the answer goes to the output as JSON or, by <paramref name="show"/>, as a table.</param>
    public static Command Command<T>(string name, string description, Func<ClusterClient, ParseResult, Task<T[]>> ask, Action<T[], TextWriter> show, params Symbol[] words)
    {
        var gateway = new Option<string?>("--gateway") { Description = "A silo's gateway. Default: by the settings Silo:GatewayPort and Silo:GatewayForEdges, that of this machine's silo." };
        var cluster = new Option<string?>("--cluster") { Description = "The cluster's name. Default: the setting Cluster:Name." };
        var vpc = new Option<string?>("--vpc") { Description = "The VPC. Default: the setting Ec2:VpcId." };
        var json = new Option<bool>("--json") { Description = "Write JSON, not a table." };
        var command = new Command(name, description) { gateway, cluster, vpc, json };
        foreach (var word in words)
        {
            if (word is Argument argument)
            {
                command.Add(argument);
            }
            else
            {
                command.Add((Option)word);
            }
        }

        command.SetAction(async (parsed, cancellation) =>
        {
            await using var client = await ConnectAsync(parsed.GetValue(gateway), parsed.GetValue(cluster), parsed.GetValue(vpc), cancellation);
            T[] answer;
            try
            {
                answer = await ask(client, parsed);
            }
            catch (Exception e) when (e is BadQuestionException or WrongKeyException)
            {
                throw new CommandException(e.Message);
            }
            catch (Exception e) when (e is TimeoutException or OrleansException)
            {
                throw new CommandException($"The silo at {client.Gateway} did not answer: {e.Message} Look into its log.");
            }
            catch (Exception e) when (e is not (CommandException or OperationCanceledException))
            {
                throw new CommandException($"The silo at {client.Gateway} could not answer ({e.GetType().Name}): {e.Message} Look into its log.");
            }

            if (parsed.GetValue(json))
            {
                Output.WriteJson(answer, Console.Out);
            }
            else
            {
                show(answer, Console.Out);
            }

            return 0;
        });
        return command;
    }

    /// <summary>Leaves the cluster; the process ends next, so a silo that does not say good-bye is not waited for long.</summary>
    public async ValueTask DisposeAsync()
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(1), TimeProvider.System);
        try
        {
            await _host.StopAsync(patience.Token);
        }
        catch (Exception e) when (e is OperationCanceledException or AggregateException)
        {
            // The answer is written; how the connection ends changes nothing.
        }

        _host.Dispose();
    }

    private static async Task<ClusterClient> ConnectAsync(string? gateway, string? cluster, string? vpc, CancellationToken cancellation)
    {
        var builder = Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings());
        builder.Configuration.AddSiloSettings();
        var own = OwnGateway(builder.Configuration);
        var endpoint = gateway is null ? own
            : IPEndPoint.TryParse(gateway, out var given) && given.Port != 0 ? given
            : throw new CommandException($"--gateway {gateway} is no address and port such as 127.0.0.1:30000.");
        var clusterName = cluster ?? builder.Configuration["Cluster:Name"]
            ?? throw new CommandException("Which cluster? Give --cluster NAME, or set CLUSTER_NAME as for the silo.");
        var vpcId = vpc ?? builder.Configuration["Ec2:VpcId"]
            ?? throw new CommandException("Which VPC? Give --vpc vpc-..., or set Ec2__VpcId as for the silo.");
        builder.UseOrleansClient(client =>
        {
            client.UseStaticClustering(endpoint);
            client.Services.AddCoreSerializer();
            client.Services.AddSingleton(TimeProvider.System).AddOptions<SiloNetworkOptions>().BindConfiguration("Silo");
            client.UsePeerTls();
            client.Services.AddOptions<ClusterOptions>().Configure<IOptions<SiloNetworkOptions>>((options, network) =>
            {
                options.ServiceId = network.Value.ServiceId;
                options.ClusterId = clusterName;
            });
            client.Configure<ClientMessagingOptions>(options => options.ResponseTimeout = CallDeadline);
        });
        var host = builder.Build();
        host.Services.GetRequiredService<PeerTls>();
        try
        {
            await host.StartAsync(cancellation).WaitAsync(StartDeadline, TimeProvider.System, cancellation);
        }
        catch (Exception e) when (e is not OperationCanceledException || !cancellation.IsCancellationRequested)
        {
            throw new CommandException(string.Create(CultureInfo.InvariantCulture,
                $"No silo of cluster {clusterName} answers at {endpoint} within {StartDeadline.TotalSeconds:0} s ({e.GetType().Name}). Run this beside a running silo (its gateway is on loopback, unless Silo:GatewayForEdges is set), or give --gateway or --cluster. Where silos have Silo:CertificatePath this must have one of the same authority, too: a silo's log says whom it refused (event 3021)."));
        }

        return new ClusterClient(host, endpoint, clusterName, vpcId, builder.Configuration["Ec2:Region"] is { Length: > 0 } region ? ClusterSettings.QuotaKeyOf(builder.Configuration["Ec2:AccountId"], region) : null);
    }

    private static IPEndPoint OwnGateway(ConfigurationManager configuration)
    {
        if (SiloSettings.Errors(configuration, "Silo", "Storage") is { Count: > 0 } errors)
        {
            throw new CommandException(errors);
        }

        var silo = configuration.GetSection("Silo").Get<SiloNetworkOptions>() ?? new();
        return new IPEndPoint(silo.GatewayAddress(), silo.GatewayPort);
    }
}
