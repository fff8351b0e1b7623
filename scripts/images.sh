#!/usr/bin/env bash
# scripts/images.sh: artifacts/images/{silo,node-executor}.tar, OCI archives of what `make publish` made and Debian's packages, without a
# registry or an engine: `ctr -n k8s.io images import FILE`. Says what is wrong and fails where the packages cannot be had.
# ARCH=arm64: those of `make arm64`, as silo-arm64.tar and node-executor-arm64.tar; nothing here has run them. TAG is the images' tag, and REGISTRY what stands before their names. SILO and EXECUTOR (both or neither) are folders with others: then their images are made, artifacts/images/{silo,node-executor}-$TAG.tar.
set -euo pipefail
cd "$(dirname "$0")/.."
tag=${TAG:-$(sed -n 's/^appVersion: "\(.*\)"/\1/p' charts/aws-vpc-cni-distributed/Chart.yaml)}
registry=${REGISTRY:-docker.io/aws-vpc-cni-distributed} # Nobody holds it: REGISTRY is where you push them.
arch=${ARCH:-amd64}
out=$PWD/artifacts/images
case $arch in
    amd64) triple=x86_64-linux-gnu built=artifacts debs=$out/debs suffix='' apt=() ;;
    arm64) triple=aarch64-linux-gnu built=artifacts/arm64 debs=$out/debs-arm64 suffix=-arm64 # Apt with a state of its own: this machine stays what it is.
        apt=(-o APT::Architecture=arm64 -o APT::Architectures=arm64 -o Dir::State::Lists="$debs/lists" -o Dir::State::status=/dev/null -o Dir::Cache="$debs/cache") ;;
    *) echo "ARCH is $arch; it is amd64 or arm64." >&2; exit 1 ;;
esac
[ -x "$built/node-executor/node-executor" ] || { echo "There is no $built/node-executor: run 'make images' with the same ARCH." >&2; exit 1; }
mkdir -p "$debs/lists/partial" "$debs/cache/archives/partial"
[ "$arch" = amd64 ] || apt-get "${apt[@]}" update -q >"$debs/log" 2>&1 || { echo "Debian's lists for $arch cannot be had: $(tail -n 1 "$debs/log")" >&2; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

packages() { # root, packages: each with its libraries and its licence, without what only people read
    local root=$1 package
    shift
    for package in "$@"; do
        if ! ls "$debs/${package}"_*.deb >/dev/null 2>&1; then
            (cd "$debs" && apt-get "${apt[@]}" download -q "$package" >"$work/log" 2>&1) || { echo "Debian's package $package cannot be had: $(tail -n 1 "$work/log")" >&2; exit 1; }
        fi
        dpkg-deb -x "$(ls "$debs/${package}"_*.deb | tail -n 1)" "$root"
    done
    find "$root/usr/share" -mindepth 1 -maxdepth 1 ! -name doc ! -name ca-certificates ! -name dotnet -exec rm -rf {} +
    find "$root/usr/share/doc" -type f ! -name copyright -delete
    rm -rf "$root"/{,usr/}sbin "$root"/usr/bin "$root"/usr/lib/$triple/gconv "$root"/usr/lib/$triple/audit
    mkdir -p "$root/etc/ssl/certs" "$root/tmp" "$root/proc" "$root/sys" "$root/dev"
    cat "$root"/usr/share/ca-certificates/mozilla/*.crt >"$root/etc/ssl/certs/ca-certificates.crt" # The package's own script is not run.
    chmod 1777 "$root/tmp"
    printf 'root:x:0:0::/:/\nnonroot:x:65532:65532::/:/\n' >"$root/etc/passwd"
    printf 'root:x:0:\nnonroot:x:65532:\n' >"$root/etc/group"
    cp LICENSE NOTICE "$root/"
}

sum() { sha256sum "$1" | cut -d ' ' -f 1; }

image() { # name, root, the rest of its config as JSON, its file
    local layout=$work/$1.oci blobs=$work/$1.oci/blobs/sha256 diff layer config manifest
    mkdir -p "$blobs"
    tar -C "$2" --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -cf "$work/layer.tar" .
    diff=$(sum "$work/layer.tar")
    gzip -n -6 "$work/layer.tar"
    layer=$(sum "$work/layer.tar.gz")
    printf '{"architecture":"%s","os":"linux","config":%s,"rootfs":{"type":"layers","diff_ids":["sha256:%s"]}}' "$arch" "$3" "$diff" >"$work/config"
    config=$(sum "$work/config")
    printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:%s","size":%s},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"sha256:%s","size":%s}]}' \
        "$config" "$(stat -c %s "$work/config")" "$layer" "$(stat -c %s "$work/layer.tar.gz")" >"$work/manifest"
    manifest=$(sum "$work/manifest")
    printf '{"imageLayoutVersion":"1.0.0"}' >"$layout/oci-layout"
    printf '{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:%s","size":%s,"annotations":{"io.containerd.image.name":"%s/%s:%s","org.opencontainers.image.ref.name":"%s"}}]}' \
        "$manifest" "$(stat -c %s "$work/manifest")" "$registry" "$1" "$tag" "$tag" >"$layout/index.json"
    mv "$work/layer.tar.gz" "$blobs/$layer"
    mv "$work/config" "$blobs/$config"
    mv "$work/manifest" "$blobs/$manifest"
    tar -C "$layout" --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -cf "$out/$1.tar.new" oci-layout index.json blobs
    mv "$out/$1.tar.new" "$out/$4.tar"
    echo "artifacts/images/$4.tar: $registry/$1:$tag, $(($(stat -c %s "$out/$4.tar") >> 20)) MiB"
}

# The silo is not ahead-of-time compiled: the runtime that it was built with goes along. That of arm64 has brought its own.
runtime() { dotnet --list-runtimes | sed -n "s|^$1 \(10[^ ]*\) \[\(.*\)\]|\2/\1|p" | tail -n 1; }
root=$work/silo
core=$(runtime Microsoft.NETCore.App) web=$(runtime Microsoft.AspNetCore.App)
mkdir -p "$root/app" "$root/usr/share/dotnet"
cp -r "${SILO:-$built/silo}/." "$root/app/"
rm -f "$root"/app/*.xml # What the compiler wrote of comments.
if [ "$arch" = amd64 ]; then
    fxr=$(dirname "$(dirname "$(dirname "$core")")")/host/fxr/$(basename "$core")
    mkdir -p "$root/usr/share/dotnet/shared/Microsoft.NETCore.App" "$root/usr/share/dotnet/shared/Microsoft.AspNetCore.App" "$root/usr/share/dotnet/host/fxr"
    cp -r "$core" "$root/usr/share/dotnet/shared/Microsoft.NETCore.App/"
    cp -r "$web" "$root/usr/share/dotnet/shared/Microsoft.AspNetCore.App/"
    cp -r "$fxr" "$root/usr/share/dotnet/host/fxr/"
fi
cp "$(dirname "$(dirname "$(dirname "$core")")")"/{LICENSE.txt,ThirdPartyNotices.txt} "$root/usr/share/dotnet/" 2>/dev/null || true # Not where every distribution puts them.
packages "$root" libc6 libgcc-s1 libstdc++6 zlib1g libssl3 ca-certificates
image silo "$root" '{"Entrypoint":["/app/silo"],"User":"65532:65532","Env":["DOTNET_ROOT=/usr/share/dotnet","DOTNET_EnableDiagnostics=0","SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt"]}' "silo${SILO:+-$tag}$suffix"

root=$work/node-executor
mkdir -p "$root/app"
cp "${EXECUTOR:-$built/node-executor}/node-executor" $built/plugin/aws-vpc-cni "$root/app/"
packages "$root" libc6 libgcc-s1 zlib1g libssl3 ca-certificates libnftables1 libnftnl11 libmnl0 libjansson4 libxtables12 libgmp10 containernetworking-plugins
# Plugins for nodes whose image has none. They run there, so with the node's C library: Amazon Linux 2023 has 2.34.
mkdir -p "$root/app/cni"
for plugin in loopback portmap bandwidth firewall; do
    mv "$root/usr/lib/cni/$plugin" "$root/app/cni/"
    if grep -qaE 'GLIBC_2\.(3[5-9]|[4-9][0-9])' "$root/app/cni/$plugin"; then
        echo "This Debian's $plugin wants a newer C library than the nodes' 2.34: make the images on Debian 12." >&2
        exit 1
    fi
done
rm -rf "$root/usr/lib/cni"
image node-executor "$root" '{"Entrypoint":["/app/node-executor"],"Env":["DOTNET_EnableDiagnostics=0","SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt"]}' "node-executor${EXECUTOR:+-$tag}$suffix"
