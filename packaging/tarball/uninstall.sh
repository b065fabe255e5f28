#!/bin/sh
# Removes what install.sh has installed, as root. Running emulators go on until their VMs end.
set -eu
root=${DESTDIR:-}
list=$root/usr/lib/vgpu-stub/installed
fail() {
    printf 'error: %s\nmend:  %s\n' "$1" "$2" >&2
    exit 2
}
[ -r "$list" ] || fail "there is no $list" "remove a package by its own means: yum remove vgpu-stub-xcp-ng"
work=$(mktemp)
trap 'rm -f "$work"' EXIT
cp "$list" "$work"
rm "$list"
# What XAPI and xenopsd run goes first: it was installed last.
tac "$work" | while read -r kind sum file; do
    case $kind in
    f) rm -f "$root$file" ;;
    c)
        if [ "$(sha256sum <"$root$file" 2>/dev/null | cut -d ' ' -f 1)" = "$sum" ]; then
            rm -f "$root$file"
        elif [ -e "$root$file" ]; then
            echo "kept, as it was changed: $root$file"
        fi
        ;;
    esac
done
grep '^d ' "$work" | sort -r | while read -r _ folder; do
    rmdir "$root$folder" 2>/dev/null || [ ! -d "$root$folder" ] || echo "kept, as it is not empty: $root$folder"
done
[ -n "$root" ] || [ ! -d /run/systemd/system ] || systemctl daemon-reload
