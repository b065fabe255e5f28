#!/bin/sh
# Installs vgpu-stub on an XCP-ng host, as root: ./install.sh
# An upgrade is the same again: running emulators go on. DESTDIR=/folder installs below that folder.
# To take it away: /usr/lib/vgpu-stub/uninstall.sh
set -eu
umask 022
root=${DESTDIR:-}
fail() {
    printf 'error: %s\nmend:  %s\n' "$1" "$2" >&2
    exit 2
}
[ -n "$root" ] || [ "$(id -u)" -eq 0 ] || fail "this changes the system" "run it as root"
cd "$(dirname "$0")/files"
list=$root/usr/lib/vgpu-stub/installed

# What XAPI and xenopsd run comes last, so that it never runs half of the rest.
files=$(find . -mindepth 1 ! -type d | sort | grep -v '^\./etc/xapi\.d\|/alternatives/' || :)
files="$files $(find . -mindepth 1 ! -type d | sort | grep '^\./etc/xapi\.d\|/alternatives/' || :)"

owned() {
    [ -e "$list" ] && grep -q "^[fc] .*$1\$" "$list"
}
for file in $files; do
    file=${file#.}
    [ -e "$root$file" ] || [ -L "$root$file" ] || continue
    owned "$file" || [ "$file" = /etc/vgpu-stub/xcp.conf ] ||
        fail "$root$file is there and not from an earlier installation" "remove the package that it is from: rpm -qf $file"
done

mkdir -p "${root:-/}"
new=$(mktemp)
trap 'rm -f "$new"' EXIT
find . -mindepth 1 -type d | sort | while read -r folder; do
    folder=${folder#.}
    if [ ! -d "$root$folder" ]; then
        mkdir -m 755 "$root$folder"
        echo "d $folder" >>"$new"
    elif [ -e "$list" ] && grep -qx "d $folder" "$list"; then
        echo "d $folder" >>"$new"
    fi
done
for file in $files; do
    file=${file#.}
    if [ "$file" = /etc/vgpu-stub/xcp.conf ]; then
        [ -e "$root$file" ] || cp --preserve=mode,timestamps ".$file" "$root$file"
        # With its sum as delivered: what the administrator has changed is kept.
        echo "c $(sha256sum <".$file" | cut -d ' ' -f 1) $file" >>"$new"
        continue
    fi
    cp -P --preserve=mode,timestamps ".$file" "$root$file.vgpu-stub-new"
    mv -f "$root$file.vgpu-stub-new" "$root$file"
    echo "f - $file" >>"$new"
done
cp "$new" "$list.new"
chmod 644 "$list.new"
mv -f "$list.new" "$list"
[ -n "$root" ] || [ ! -d /run/systemd/system ] || systemctl daemon-reload
echo "vgpu-stub is installed; next: vgpu-stub xcp enable VM"
