#!/usr/bin/env bash
# scripts/build.sh PROJECT-OR-SOLUTION: builds it in Release. Prints errors only; warnings are errors.
set -euo pipefail
cd "$(dirname "$0")/.."
echo "Building $1 ..."
start=$SECONDS
dotnet build "$1" -c Release -v quiet --nologo -nodeReuse:false "-clp:ErrorsOnly;NoSummary"
echo "  built in $((SECONDS - start)) s"
