#!/usr/bin/env bash
# scripts/publish.sh PROJECT artifacts/NAME/PROGRAM [WORD...]: publishes it in Release, with these words for dotnet publish. The folder is put in place when it is whole,
# so that a run that is interrupted leaves nothing that looks finished.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=$(dirname "$2")
echo "Publishing $folder ..."
start=$SECONDS
rm -rf "$folder.new"
dotnet publish "$1" -c Release -o "$folder.new" -v quiet --nologo -nodeReuse:false "-clp:ErrorsOnly;NoSummary" "${@:3}"
rm -rf "$folder"
mv "$folder.new" "$folder"
touch "$2"
echo "  published in $((SECONDS - start)) s, $(stat -c %s "$2") bytes"
