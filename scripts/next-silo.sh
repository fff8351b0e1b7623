#!/usr/bin/env bash
# scripts/next-silo.sh: builds the silo of the next build, that is of this tree with tests/upgrade/next.patch, in a copy under artifacts/upgrade.
# What it has built before it builds on. Fails when the patch does not apply any more. Prints errors only.
set -euo pipefail
cd "$(dirname "$0")/.."
patch=$PWD/tests/upgrade/next.patch
copy=$PWD/artifacts/upgrade
mkdir -p "$copy"
find "$copy" \( -name bin -o -name obj \) -prune -o -type f -exec rm -f {} +
tar -c --exclude=bin --exclude=obj silo grains global.json Directory.*.props .editorconfig BannedSymbols.txt | tar -xm -C "$copy"
cd "$copy"
# Of the repository around it git must not know: what it ignores there it would not patch.
if ! GIT_CEILING_DIRECTORIES=$(dirname "$copy") git apply -C1 --recount "$patch"; then
    echo "tests/upgrade/next.patch does not apply any more: make the same changes anew where the code is now" >&2
    exit 1
fi

# What an analyzer says of the patch is not asked.
dotnet build -c Release -v quiet --nologo -nodeReuse:false "-clp:ErrorsOnly;NoSummary" -p:TreatWarningsAsErrors=false -p:RunAnalyzers=false silo/AwsVpcCni.Silo.csproj
