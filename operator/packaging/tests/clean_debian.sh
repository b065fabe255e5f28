#!/bin/sh
# clean_debian.sh ROOT.TAR PACKAGE.DEB VERSION FOLDER: tries the package, of this version, in a Debian that is unpacked over
# this empty folder, in memory: it goes with this process. Run it by: unshare --map-root-user --mount
set -eu
archive=$1 package=$2 version=$3 root=$4
mount -t tmpfs -o size=1g,mode=755 clean-debian "$root"
# Devices are not for everybody to make, nor are files of other users.
tar --extract --file "$archive" --directory "$root" --no-same-owner --exclude './dev/*'
cp "$(dirname "$0")"/*.sh "$root/run"
cp "$package" "$root/run/vgpu-stub.deb"
exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C DEBIAN_FRONTEND=noninteractive \
    chroot "$root" sh /run/deb.sh "$version"
