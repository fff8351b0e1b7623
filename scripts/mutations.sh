#!/usr/bin/env bash
# scripts/mutations.sh [NAME...]: each tests/mutations/NAME.patch alone, in a copy of this tree, against the seeds that `make test` runs.
# Says which seed finds it and by what. Fails when one is not found, or does not apply any more.
set -euo pipefail
cd "$(dirname "$0")/.."
patience=1800 # Seconds that a mutation's seeds may take.
# A mutation need not be pretty: what an analyzer says of it is not asked.
build=(dotnet build -c Release -v quiet --nologo -nodeReuse:false "-clp:ErrorsOnly;NoSummary" -p:TreatWarningsAsErrors=false -p:RunAnalyzers=false
    tests/simulation/AwsVpcCni.Tests.Simulation.csproj)
program=tests/simulation/bin/Release/net10.0/AwsVpcCni.Tests.Simulation
seeds=$(sed -nE 's/^.*const int Seeds = ([0-9]+);.*$/\1/p' tests/simulation/Tests/SeedTests.cs)

names=("$@")
[ $# -gt 0 ] || mapfile -t names < <(basename -s .patch -a tests/mutations/*.patch)
patches=$PWD/tests/mutations
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
tar -c --exclude=.git --exclude=bin --exclude=obj --exclude=artifacts . | tar -x -C "$copy"
cd "$copy"

found=0 lines=()
for name in "${names[@]}"; do
    patch=$patches/$name.patch
    echo "== $(head -n 1 "$patch")"
    if ! git apply --recount -C1 "$patch"; then
        echo "   tests/mutations/$name.patch does not apply any more: make the same mutation anew where the code is now" >&2
        continue
    fi

    if ! output=$("${build[@]}"); then
        echo "$output" >&2
        echo "   tests/mutations/$name.patch applies, and what it makes does not compile: make it anew" >&2
    elif ! output=$(timeout --foreground "$patience" "$program" first "$seeds"); then
        echo "   NOT FOUND: ${output:-no end within $patience s}. The simulation lacks a fault, an event or an invariant" >&2
    else
        echo "   $(head -n 1 <<<"$output")"
        found=$((found + 1))
        lines+=("mutation_$(tr - _ <<<"$name")_seed: $(sed -nE '1s/^seed ([0-9]+) .*$/\1/p' <<<"$output")")
    fi

    git apply --recount -C1 --reverse "$patch"
done

echo "seeds: $seeds"
printf '%s\n' ${lines[@]+"${lines[@]}"}
echo "mutations: ${#names[@]}"
echo "found: $found"
[ "$found" = "${#names[@]}" ]
