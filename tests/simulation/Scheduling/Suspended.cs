using System.Collections.Concurrent;
using System.Reflection;

namespace AwsVpcCni.Tests.Simulation.Scheduling;

/// <summary>At which awaits methods wait for something: the runtime keeps that in private fields, as debuggers read them.</summary>
internal static class Suspended
{
    private const BindingFlags Own = BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic;
    private static readonly FieldInfo Continuation = typeof(Task).GetField("m_continuationObject", Own) ?? throw new MissingFieldException("This runtime's tasks keep their continuation somewhere else.");
    private static readonly ConcurrentDictionary<Type, FieldInfo?> Machines = new(); // Of async methods' tasks: where their locals are.
    private static readonly ConcurrentDictionary<Type, FieldInfo?> States = new();
    private static readonly ConcurrentDictionary<Type, FieldInfo[]> Links = new(); // Of what stands between a task and who awaits it.

    /// <param name="leaves">Tasks that are awaited, and actions that are about to run.</param>
    /// <returns>Each async method that waits for one of them, by way of others too: its state machine, and which of its awaits, from 0.</returns>
    public static IEnumerable<(Type Machine, int Await)> On(IEnumerable<object?> leaves)
    {
        var seen = new HashSet<object>(ReferenceEqualityComparer.Instance);
        var todo = new Stack<object?>(leaves);
        while (todo.TryPop(out var one))
        {
            if (one is null || !seen.Add(one))
            {
                continue;
            }

            switch (one)
            {
                case Task task:
                    if (AwaitOf(task) is { } found)
                    {
                        yield return found;
                    }

                    todo.Push(Continuation.GetValue(task));
                    break;
                case Action action:
                    todo.Push(action.Target);
                    break;
                case IEnumerable<object?> several:
                    foreach (var each in several)
                    {
                        todo.Push(each);
                    }

                    break;
                default:
                    foreach (var link in Links.GetOrAdd(one.GetType(), LinksOf))
                    {
                        todo.Push(link.GetValue(one));
                    }

                    break;
            }
        }
    }

    private static (Type, int)? AwaitOf(Task task)
    {
        var field = Machines.GetOrAdd(task.GetType(), static type => type.GetField("StateMachine", Own));
        return field?.GetValue(task) is { } machine && States.GetOrAdd(machine.GetType(), static type => type.GetField("<>1__state", Own))?.GetValue(machine) is int and >= 0 and var state
            ? (machine.GetType(), state)
            : null;
    }

    private static FieldInfo[] LinksOf(Type type) =>
        type.Namespace == "System.Threading.Tasks" ? [.. type.GetFields(Own).Where(field => field.FieldType == typeof(Action) || field.FieldType.IsAssignableTo(typeof(Task)))] : [];
}
