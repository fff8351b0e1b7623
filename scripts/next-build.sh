#!/usr/bin/env bash
# scripts/next-build.sh [executor]: builds the silo of the next build, that is of this tree with tests/upgrade/next.patch, in a copy under artifacts/upgrade; or publishes its executor.
# What it has built before it builds on. Fails when the patch does not apply any more. Prints errors only.
set -euo pipefail
cd "$(dirname "$0")/.."
patch=$PWD/tests/upgrade/next.patch
copy=$PWD/artifacts/upgrade
mkdir -p "$copy"
find "$copy" \( -name bin -o -name obj \) -prune -o -path "$copy/artifacts" -prune -o -type f -exec rm -f {} +
tar -c --exclude=bin --exclude=obj silo node-executor cni-plugin grains scripts global.json CrossLink.targets Directory.*.props .editorconfig BannedSymbols.txt | tar -xm -C "$copy"
cd "$copy"
# Of the repository around it git must not know: what it ignores there it would not patch.
if ! GIT_CEILING_DIRECTORIES=$(dirname "$copy") git apply -C1 --recount "$patch"; then
    echo "tests/upgrade/next.patch does not apply any more: make the same changes anew where the code is now" >&2
    exit 1
fi

# What an analyzer says of the patch is not asked.
if [ "${1:-}" = executor ]; then
    scripts/publish.sh node-executor/AwsVpcCni.NodeExecutor.csproj artifacts/node-executor/node-executor -p:TreatWarningsAsErrors=false -p:RunAnalyzers=false
else
    dotnet build -c Release -v quiet --nologo -nodeReuse:false "-clp:ErrorsOnly;NoSummary" -p:TreatWarningsAsErrors=false -p:RunAnalyzers=false silo/AwsVpcCni.Silo.csproj
fi
