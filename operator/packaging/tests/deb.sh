#!/bin/sh
# deb.sh VERSION: installs /run/vgpu-stub.deb in the Debian that this runs in, tries it and removes it. Nothing may be left.
set -eu
version=$1
cd /run
. ./listing.sh
fail() {
    echo "FAILED: $*" >&2
    exit 1
}
compare() {
    diff before after || fail "removed, the files are not as they were before (<)"
}

# What the package brings, besides what it lists itself.
parts='
/usr/bin/vgpu-stub
/usr/lib/vgpu-stub/vgpu-emulator
/usr/lib/vgpu-stub/vgpu-stub-device-model
/usr/lib/systemd/system/vgpu-stub-vfio-user@.service
/usr/share/bash-completion/completions/vgpu-stub
/usr/share/doc/vgpu-stub/LICENSE-MIT
/usr/share/fish/vendor_completions.d/vgpu-stub.fish
/usr/share/man/man1/vgpu-stub.1
/usr/share/man/man1/vgpu-stub-xen.1
/usr/share/zsh/site-functions/_vgpu-stub
/usr/share/zsh/vendor-completions/_vgpu-stub
'
installed() {
    dpkg --install vgpu-stub.deb
    [ "$(dpkg-query --show --showformat '${Status} ${Version}' vgpu-stub)" = "install ok installed $version" ] ||
        fail "dpkg does not say that it is installed"
    dpkg --verify vgpu-stub >verified && [ ! -s verified ] || { cat verified; fail "not as it was packed"; }
    for file in $parts $(dpkg --listfiles vgpu-stub); do
        [ "$file" = /. ] || [ -s "$file" ] || fail "$file is not there, or empty"
    done
    said=$(vgpu-stub --version)
    echo "$said"
    [ "$said" = "vgpu-stub $version" ] || fail "not vgpu-stub $version"
}

listing / >before
[ -s before ] || fail "nothing is listed"
installed
dpkg --remove vgpu-stub
# Until it is purged, dpkg keeps its list of files, which is empty, and the script for then.
listing / | grep -vE '/var/lib/dpkg/info/vgpu-stub\.(list|postrm)' >after
compare
installed
dpkg --purge vgpu-stub
listing / >after
compare
echo "nothing is left"
