using Xunit.Sdk;
using Xunit.v3;

// The tests share two cores and what there is once on a machine.
[assembly: Parallelization(Mode = ParallelMode.None)]
