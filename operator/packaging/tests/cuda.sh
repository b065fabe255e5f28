#!/bin/sh
# cuda.sh VERSION: installs the .debs of CUDA in /run beside /run/vgpu-stub.deb in the Debian that this runs in,
# tries them by the program /run/cuda-add, plants a driver of another's, and removes all. Nothing may be left.
set -eu
version=$1
cd /run
. ./listing.sh
fail() {
    echo "FAILED: $*" >&2
    exit 1
}
expect() { [ "$2" = "$3" ] || fail "$1: $2, not $3"; }
code() { "$@" >said 2>&1 && echo 0 || echo $?; }
# The first that the linker knows, which writes /lib for /usr/lib.
found() { ldconfig -p | sed -n 's,^\tlibcuda.so.1 (libc6\,x86-64) => \(/usr\)*,/usr,p' | head -n 1; }
driver=/usr/lib/x86_64-linux-gnu/libcuda.so.1
named=/lib/x86_64-linux-gnu/libcuda.so.1

ldconfig
listing / >before
for package in vgpu-guest vgpu-host; do
    dpkg --install $package.deb >said 2>&1 && fail "$package is there without the command vgpu"
    grep -q "depends on vgpu-tools (= $version)" said || fail "$package without vgpu-tools: $(cat said)"
    dpkg --purge $package
done
dpkg --install vgpu-stub.deb vgpu-tools.deb vgpu-guest.deb vgpu-host.deb
for package in vgpu-stub vgpu-tools vgpu-guest vgpu-host; do
    dpkg --verify $package >verified && [ ! -s verified ] || { cat verified; fail "$package is not as it was packed"; }
    for file in $(dpkg --listfiles $package); do
        [ "$file" = /. ] || [ -s "$file" ] || fail "$file is not there, or empty"
    done
done
expect "vgpu's version" "$(vgpu --version)" "vgpu $version"
[ "$(code vgpu doctor)" = 1 ] && grep -q "no PCI function is a virtual GPU" said || fail "vgpu doctor: $(cat said)"
expect "vgpud's version" "$(vgpud --version)" "vgpud $version"
/usr/lib/vgpu/vgpu-ptxas --version

# With a daemon of its own, with none, and with that of its user.
expect "vgpu run" "$(code vgpu run -- ./cuda-add)" 0
grep -q 'sums are right on vgpu CPU engine' said || fail "vgpu run: $(cat said)"
[ "$(code ./cuda-add)" != 0 ] && grep -q '^vgpu: no vgpu daemon: .*systemctl --user start vgpud' said ||
    fail "no daemon: $(cat said)"
vgpud serve &
daemon=$!
for _tenth in 1 2 3 4 5 6 7 8 9 10; do
    sleep 0.1
    [ "$(code ./cuda-add)" != 0 ] || break
done
grep -q 'sums are right on vgpu CPU engine' said || fail "vgpud serve: $(cat said)"
kill $daemon
wait $daemon || fail "vgpud ended with $?"
expect "vgpu's link" "$(found)" $driver
expect "vgpu library status" "$(code vgpu library status)" 0

# Another's driver, by a package of its own: its file takes the link's place.
mkdir -p other/DEBIAN other${driver%/*}
cp /usr/lib/vgpu/libcuda.so.1 other$driver
printf 'other' >>other$driver
cat >other/DEBIAN/control <<control
Package: other-driver
Version: 1
Architecture: amd64
Maintainer: nobody <nobody@localhost>
Description: a driver of somebody else's
control
dpkg-deb --build --root-owner-group other other.deb
dpkg --install other.deb
ldconfig
unchanged() {
    dpkg --verify other-driver >verified && [ ! -s verified ] || fail "the other driver was changed"
}
unchanged
expect "status beside another driver" "$(code vgpu library status)" 1
expect "enable beside another driver" "$(code vgpu library enable)" 1
grep -q "^error: .*$named" said && grep -q '^mend: .*--shadow' said || fail "enable: $(cat said)"
dpkg --install vgpu-guest.deb >said
grep "^vgpu: programs go on finding $named" said || fail "an upgrade does not tell of the other driver"
expect "status after an upgrade" "$(code vgpu library status)" 1
expect "enable --shadow" "$(code vgpu library enable --shadow)" 0
dpkg --install vgpu-guest.deb
expect "the first library, through an upgrade" "$(found)" /usr/lib/vgpu/libcuda.so.1
unchanged

# It goes, and the other driver stays.
dpkg --purge vgpu-tools >said 2>&1 && fail "vgpu-tools goes from under vgpu-guest"
dpkg --purge vgpu-guest vgpu-host vgpu-tools vgpu-stub
expect "the driver that is left" "$(found)" $driver
unchanged
dpkg --purge other-driver
ldconfig
listing / >after
diff before after || fail "removed, the files are not as they were before (<)"
echo "nothing is left"
