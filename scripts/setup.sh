#!/usr/bin/env bash
# Makes sure that all is there that the build and the tests need. Quick when nothing is to be done.
#   scripts/setup.sh sdk   the .NET SDK only: enough for `make test-unit`
#   scripts/setup.sh all   Debian packages, root and the kernel's namespaces too
set -euo pipefail

missing() { # what, how to get it
    echo "Missing: $1" >&2
    echo "  $2" >&2
    exit 1
}

[ "$(uname -sm)" = "Linux x86_64" ] || missing "Linux on x86-64" "This is $(uname -sm)."

if ! command -v dotnet >/dev/null || ! dotnet --list-sdks | grep -q '^10\.'; then
    missing "the .NET 10 SDK" "See https://learn.microsoft.com/dotnet/core/install/linux; 'dotnet --list-sdks' must then list a 10.0 SDK."
fi

[ "${1:-all}" = all ] || exit 0

[ "$(id -u)" = 0 ] || missing "root" "Network namespaces, containerd and netlink need it: run the same command as root."

packages=(
    gcc binutils musl-tools zlib1g-dev                  # NativeAOT's linker; musl for the plugin
    containerd runc containernetworking-plugins         # a container runtime; its loopback plugin
    busybox-static                                      # the pods' image
    iproute2 iputils-ping nftables procps util-linux    # namespaces, the emulator's router
    libnftables1 iptables conntrack                     # what the executor loads; rules of others beside its own, and what follows from them
    strace sqlite3                                      # tests count a program's system calls, and read the silo's file
)

absent=()
installed=$(dpkg-query -W -f='${db:Status-Abbrev}${Package}\n' 2>/dev/null | sed -n 's/^ii //p') ||
    missing "Debian's package tools" "Install by other means: ${packages[*]}; then call the scripts/ of the Makefile's targets."
for package in "${packages[@]}"; do
    grep -qx "$package" <<<"$installed" || absent+=("$package")
done

if [ ${#absent[@]} -gt 0 ]; then
    echo "Installing: ${absent[*]}"
    log=$(mktemp)
    export DEBIAN_FRONTEND=noninteractive
    if ! { dpkg --configure -a && apt-get update && apt-get install -y --no-install-recommends "${absent[@]}"; } >"$log" 2>&1; then
        tail -n 20 "$log" >&2
        missing "${absent[*]}" "apt-get could not install them (all of its output: $log). Install them by hand and start again."
    fi
    rm -f "$log"
fi

unshare --net true 2>/dev/null ||
    missing "the right to make network namespaces" "Root has no CAP_SYS_ADMIN here. Use a machine, a VM or a privileged container."
