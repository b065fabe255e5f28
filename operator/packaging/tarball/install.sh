#!/bin/sh
# Installs vgpu-stub on an XCP-ng host, as root: ./install.sh
# An upgrade is the same again: running emulators go on. DESTDIR=/folder installs below that folder.
# To take it away, whole or not: /usr/lib/vgpu-stub/uninstall.sh
set -eu
umask 022
root=${DESTDIR:-}
fail() {
    printf 'error: %s\nmend:  %s\n' "$1" "$2" >&2
    exit 2
}
[ -n "$root" ] || [ "$(id -u)" -eq 0 ] || fail "this changes the system" "run it as root"
cd "$(dirname "$0")/files"
own=/usr/lib/vgpu-stub
list=$root$own/installed
# XAPI runs whatever is in its folders, so new files are made here. A move from here is whole at once where the folder
# that it goes to is of the same file system, as on XCP-ng.
work=$root$own/unfinished

folders=$(find . -mindepth 1 -type d | sed 's/^\.//' | sort)
# What is started by others comes after them, and what XAPI and xenopsd run comes last: so nobody runs half of the rest.
files=$(find . -mindepth 1 ! -type d | sed 's/^\.//' |
    awk -v own="$own" '{ print (index($0, own "/") == 1 ? 1 : /^\/etc\/xapi\.d|\/alternatives\// ? 3 : 2), $0 }' |
    sort | cut -d ' ' -f 2)

owned() {
    [ -e "$list" ] && grep -q "^[fc] [^ ]* $1\$" "$list"
}
for file in $files; do
    [ -e "$root$file" ] || [ -L "$root$file" ] || continue
    owned "$file" || [ "$file" = /etc/vgpu-stub/xcp.conf ] ||
        fail "$root$file is there and not from an earlier installation" "remove the package that it is from: rpm -qf $file"
done

entries=$(
    for folder in $folders; do
        # The folder of the list is there before the list.
        if [ ! -d "$root$folder" ] || [ "$folder" = "$own" ] || grep -qsx "d $folder" "$list"; then
            echo "d $folder"
        fi
    done
    for file in $files; do
        if [ "$file" = /etc/vgpu-stub/xcp.conf ]; then
            # With its sum as delivered: what the administrator has changed is kept.
            echo "c $(sha256sum <".$file" | cut -d ' ' -f 1) $file"
        else
            echo "f - $file"
        fi
    done
)
dropped=
if [ -e "$list" ]; then
    dropped=$(echo "$entries" | awk 'NR == FNR { new[$NF]; next } !($NF in new)' - "$list")
fi

again="run this again, or $root$own/uninstall.sh"
room="see that the disk is not full, then $again"
list_is() {
    echo "$1" >"$work/list" && mv -fT "$work/list" "$list" || fail "cannot write $list" "$room"
}
put() {
    said=$({ cp -P --preserve=mode,timestamps ".$1" "$work/file" && mv -fT "$work/file" "$root$1"; } 2>&1) ||
        fail "cannot write $root$1: $said" "$room"
}
trap 'rm -rf "$work"' EXIT
trap 'fail "interrupted" "$again"' HUP INT TERM
rm -rf "$work"
mkdir -p "$work" || fail "cannot make $work" "$room"
# All that may be there from now on, so that it can be taken away however this ends.
list_is "$entries${dropped:+
$dropped}"
for folder in $folders; do
    [ -d "$root$folder" ] || mkdir -m 755 "$root$folder" || fail "cannot make $root$folder" "$room"
done
for file in $files; do
    if [ "$file" != /etc/vgpu-stub/xcp.conf ] || ! { [ -e "$root$file" ] || [ -L "$root$file" ]; }; then
        put "$file"
    fi
done
if [ -n "$dropped" ]; then
    echo "$dropped" >"$work/dropped" && "$root$own/uninstall.sh" "$work/dropped" ||
        fail "cannot remove what is no longer part of this" "$room"
fi
list_is "$entries"
[ -n "$root" ] || [ ! -d /run/systemd/system ] || systemctl daemon-reload
echo "vgpu-stub is installed; next: vgpu-stub xcp enable VM"
