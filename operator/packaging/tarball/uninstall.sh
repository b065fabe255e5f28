#!/bin/sh
# Removes what install.sh has installed, as root. Running emulators go on until their VMs end.
# An upgrade gives a list of its own: what is no longer part of this.
set -eu
root=${DESTDIR:-}
own=/usr/lib/vgpu-stub
list=$root$own/installed
what=${1:-$list}
fail() {
    printf 'error: %s\nmend:  %s\n' "$1" "$2" >&2
    exit 2
}
[ -r "$what" ] || fail "there is no $what" "remove a package by its own means: yum remove vgpu-stub-xcp-ng"
# What XAPI and xenopsd run goes first: it was installed last.
tac "$what" | while read -r kind sum file; do
    case $kind in
    f)
        # By this it can be run again.
        [ "$file" = "$own/uninstall.sh" ] || rm -f "$root$file"
        ;;
    c)
        [ -e "$root$file" ] || continue
        if [ "$(sha256sum <"$root$file" | cut -d ' ' -f 1)" = "$sum" ]; then
            rm -f "$root$file"
        else
            echo "kept, as it was changed: $root$file"
        fi
        ;;
    esac
done
folders=$(grep '^d ' "$what" | cut -d ' ' -f 2 | sort -r)
remove() {
    rmdir "$root$1" 2>/dev/null || [ ! -d "$root$1" ] || echo "kept, as it is not empty: $root$1"
}
for folder in $folders; do
    case $own/ in
    "$folder"/*) ;;
    *) remove "$folder" ;;
    esac
done
if [ "$what" = "$list" ]; then
    rm -rf "$root$own/unfinished"
    # The list is the last of all but the folders that it is in.
    rm -f "$root$own/uninstall.sh"
    rm -f "$list"
    for folder in $folders; do
        case $own/ in
        "$folder"/*) remove "$folder" ;;
        esac
    done
fi
[ -n "$root" ] || [ ! -d /run/systemd/system ] || systemctl daemon-reload
