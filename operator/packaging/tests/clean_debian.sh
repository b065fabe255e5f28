#!/bin/sh
# clean_debian.sh ROOT.TAR VERSION FOLDER FILE...: tries packages of this version in a Debian that is unpacked over this empty
# folder, in memory: it goes with this process. The files are packages, as /run/NAME.deb, and others under their own names.
# Run it by: unshare --map-root-user --mount --net
set -eu
archive=$1 version=$2 root=$3
shift 3
mount -t tmpfs -o size=1g,mode=755 clean-debian "$root"
# Devices are not for everybody to make, nor are files of other users.
tar --extract --file "$archive" --directory "$root" --no-same-owner --exclude './dev/*'
for place in proc dev; do
    mount --rbind "/$place" "$root/$place"
done
cp "$(dirname "$0")"/*.sh "$root/run"
for file; do
    name=${file##*/}
    case $name in
    *.deb) name=${name%%_*}.deb ;;
    esac
    cp "$file" "$root/run/$name"
done
inside() {
    env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C DEBIAN_FRONTEND=noninteractive chroot "$root" sh "$@"
}
inside /run/deb.sh "$version"
[ ! -e "$root/run/vgpu-guest.deb" ] || inside /run/cuda.sh "$version"
