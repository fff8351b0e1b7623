#!/usr/bin/env bash
# scripts/containerd2.sh FOLDER: unpacks the containerd of Debian's newest suite into FOLDER, beside the system's own, whose packages stay as they are.
# That is what sid has on the day of the first run, no version of our choice: the test is skipped where that one does not run.
# Says what is wrong and fails where that cannot be had: no Debian mirror in apt's sources, no network, or a package that does not run here.
set -euo pipefail
folder=$(realpath -m "$1")
suite=sid # The first suite with containerd 2; its programs need no newer libc than Debian 12's, and use the system's runc.

[ ! -x "$folder/usr/bin/containerd" ] || exit 0

mirror=$(sed -nE 's/^URIs: *([^ ]*\/debian)\/? *$/\1/p; s/^deb (\[[^]]*\] )?([^ ]*\/debian)\/? .*/\2/p' /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null | head -n 1) || true # One of them may not be there.
[ -n "$mirror" ] || { echo "apt's sources name no Debian mirror (a URI that ends with /debian)" >&2; exit 1; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work"/{sources,lists/partial,cache/archives/partial}
printf 'Types: deb\nURIs: %s\nSuites: %s\nComponents: main\nSigned-By: /usr/share/keyrings/debian-archive-keyring.gpg\n' "$mirror" "$suite" >"$work/sources/newest.sources"
apt() {
    timeout 120 apt-get -q -o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts="$work/sources" -o Dir::State::lists="$work/lists" \
        -o Dir::Cache="$work/cache" -o APT::Sandbox::User=root -o Acquire::Languages=none -o Acquire::Retries=2 "$@"
}

cd "$work"
if ! { apt update && apt download containerd; } >"$work/log" 2>&1; then
    echo "$suite's containerd cannot be fetched from $mirror: $(tail -n 1 "$work/log")" >&2
    exit 1
fi

dpkg -x containerd_*.deb unpacked
version=$(unpacked/usr/bin/containerd --version 2>&1) || { echo "$suite's containerd does not run here: $version" >&2; exit 1; }
[[ $version =~ \ v?2\. ]] || { echo "$suite has no containerd 2: $version" >&2; exit 1; }
mkdir -p "$(dirname "$folder")"
rm -rf "$folder"
mv unpacked "$folder"
