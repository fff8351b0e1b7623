using System.CommandLine;
using System.Security.Cryptography;

namespace AwsVpcCni.Silo.Cli;

/// <summary><c>ipam keygen</c>: a key pair for development tokens.</summary>
internal static class KeygenCommand
{
    /// <summary>The command.</summary>
    public static Command Create()
    {
        var key = new Option<string>("--key") { Description = "Where the private key goes (PEM, mode 0600); the public one goes beside it, as FILE.pub.", Required = true, HelpName = "FILE" };
        var command = new Command("keygen", "Makes a key pair (EC P-256): the private key signs nodes' tokens, the silo needs the public one only.") { key };
        command.SetAction(parsed =>
        {
            Generate(parsed.GetValue(key)!);
            Console.Out.WriteLine($"{parsed.GetValue(key)}.pub");
            return 0;
        });
        return command;
    }

    /// <summary>Writes both files; never over an existing private key, whose tokens would all die.</summary>
    public static void Generate(string path)
    {
        using var pair = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        try
        {
            using (var file = new FileStream(path, new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write, UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite }))
            using (var writer = new StreamWriter(file))
            {
                writer.WriteLine(pair.ExportPkcs8PrivateKeyPem());
            }

            File.WriteAllText($"{path}.pub", pair.ExportSubjectPublicKeyInfoPem() + "\n");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new CommandException($"--key {path}: cannot be made ({e.Message}). Give a new file in a folder that you may write.");
        }
    }
}
