#!/bin/sh
# A host with libvirt, in namespaces of its own: becomes a shell there. $1 is the root folder's archive, $2 a folder that has
# the same path in it. All of it lives in memory, and goes with its last process.
set -e
root=$2/root
mkdir -p "$root"
mount -t tmpfs -o mode=755 libvirt "$root"
tar -C "$root" --extract --exclude='./dev/*' --exclude=./usr/share/doc --exclude=./usr/share/locale --file "$1"
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t tmpfs -o mode=755 dev "$root/dev"
cp -a /dev/null /dev/zero /dev/full /dev/random /dev/urandom "$root/dev"
mkdir -p "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
ln -s /proc/self/fd/0 "$root/dev/stdin"
# Without what this script has mounted in it.
mkdir -p "$root$2"
mount --bind "$2" "$root$2"
# libvirt would try out both of QEMU's programs, for seconds each.
rm -f "$root/usr/bin/qemu-system-i386"
# Not chroot: libvirt enters QEMU's mount namespace, whose root would be this machine's, and changes /dev there.
mkdir "$root/before"
cd "$root"
pivot_root . before
umount -l /before
rmdir /before
exec env -i PATH="$2/bin:/usr/sbin:/usr/bin:/sbin:/bin" LC_ALL=C sh
