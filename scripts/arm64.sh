#!/usr/bin/env bash
# scripts/arm64.sh [publish|test]: what we ship, for linux-arm64, into artifacts/arm64, as `make publish` does it for x64; then the tests of the plugin with
# that plugin under qemu-user, the kernel's structs by that machine's headers, and the first words of executor and silo. Both without a word.
# Nothing else of it has run: netlink and nftables need a machine of that kind.
set -euo pipefail
cd "$(dirname "$0")/.."
out=artifacts/arm64

if [ "${1:-publish}" = publish ]; then
    rm -rf cni-plugin/obj/native/Release/linux-arm64-* node-executor/obj/Release/net10.0/linux-arm64/native # What links them is no input of the linker's step.
    scripts/publish.sh cni-plugin/AwsVpcCni.CniPlugin.csproj $out/plugin/aws-vpc-cni -r linux-arm64
    scripts/publish.sh node-executor/AwsVpcCni.NodeExecutor.csproj $out/node-executor/node-executor -r linux-arm64
    scripts/publish.sh silo/AwsVpcCni.Silo.csproj $out/silo/silo -r linux-arm64 --self-contained # There is no runtime of that kind here to put beside it.
fi

if [ "${1:-test}" = test ]; then
    DOTNET_EnableDiagnostics=0 qemu-aarch64 -L /usr/aarch64-linux-gnu $out/silo/silo ipam --help >/dev/null || { echo "The silo does not start." >&2; exit 1; }
    said=$(qemu-aarch64 -L /usr/aarch64-linux-gnu $out/node-executor/node-executor --help 2>&1 || true)
    grep -q "Without words it serves the node" <<<"$said" || { echo "The executor says: $said" >&2; exit 1; }

    scripts/build.sh tests/unit/AwsVpcCni.Tests.Unit.csproj
    scripts/build.sh tests/end-to-end/AwsVpcCni.Tests.EndToEnd.csproj
    printf '#!/bin/sh\nexec /usr/bin/qemu-aarch64 %s\n' "$PWD/$out/plugin/aws-vpc-cni" >$out/plugin/under-qemu
    chmod +x $out/plugin/under-qemu
    AWS_VPC_CNI_TEST_CC=aarch64-linux-gnu-gcc FILTER='-class *.LayoutTests' scripts/test.sh unit
    AWS_VPC_CNI_TEST_PLUGIN=$PWD/$out/plugin/under-qemu FILTER='-class *.PluginTests' scripts/test.sh end-to-end
fi
