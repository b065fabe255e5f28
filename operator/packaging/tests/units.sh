#!/bin/sh
# units.sh: run by the systemd of a Debian that has just booted. Tries the units of the .debs beside this, and XCP-ng's.
exec >/dev/console 2>&1
set -eu
cd /tests
trap 'systemctl poweroff --force --force' EXIT
fail() {
    echo "FAILED: $*"
    journalctl --no-pager --output cat --lines 40
    exit 1
}
ctl() { vgpu-stub ctl --control "/run/vgpu-stub/$1/control.sock" "$2"; }
property() { systemctl show --property "$2" --value "vgpu-stub-vfio-user@$1"; }
process() { property "$1" MainPID; }
journal() { journalctl --output cat --unit "$1"; }
# as_group GROUP COMMAND...: as a QEMU of that group.
as_group() { _group=$1 && shift && setpriv --reuid nobody --regid "$_group" --clear-groups "$@"; }
reaches() { as_group "$1" test -w /run/vgpu-stub/one/vfio-user.sock; }

dpkg --install vgpu-stub.deb
complaints=$(systemd-analyze verify vgpu-stub-vfio-user@one.service ./vgpu-stub-xen@.service 2>&1) || :
[ -z "$complaints" ] || fail "systemd says: $complaints"

# A server for a VM: QEMU's group reaches its socket, others do not, and its host's side is root's.
groupadd --system vgpu-one
groupadd --system vgpu-two
systemctl start vgpu-stub-vfio-user@one || fail "it does not start"
ctl one info | grep -q 'BAR0 size *4096' || fail "it does not answer"
reaches vgpu-one || fail "its VM's QEMU does not reach it"
for other in vgpu-two kvm nogroup; do
    reaches "$other" && fail "$other reaches it"
done
as_group vgpu-one flock --nonblock /run/vgpu-stub/one true && fail "its VM's QEMU can lock the folder"
[ "$(stat -c '%A %G' /run/vgpu-stub/one/vfio-user.sock)" = 'srw-rw---- vgpu-one' ] || fail "the socket is another's"
[ "$(stat -c %A /run/vgpu-stub/one/control.sock)" = srw------- ] || fail "the control socket is not root's alone"
[ "$(stat -c %U "/proc/$(process one)")" != root ] || fail "it runs as root"

# It is the program that serves and does nothing else, under the name of the command that started it.
[ "$(readlink "/proc/$(process one)/exe")" = /usr/lib/vgpu-stub/vgpu-emulator ] || fail "the command serves itself"
tr '\0' ' ' <"/proc/$(process one)/cmdline" | grep -q '^vgpu-stub vfio-user --socket ' || fail "ps does not show it"

# One that dies is started again.
died=$(process one)
kill -9 "$died"
for _second in 1 2 3 4 5 6 7 8 9; do
    sleep 1
    ctl one info && break
done
ctl one info | grep -q 'VM connected *no' && [ "$(process one)" != "$died" ] || fail "it is not started again"

# Options, and bad ones.
mkdir /etc/vgpu-stub
echo 'VGPU_STUB_OPTIONS=--device bar0-size=64K' >/etc/vgpu-stub/two.conf
systemctl start vgpu-stub-vfio-user@two && ctl two info | grep -q 'BAR0 size *65536' || fail "options are not read"
echo 'VGPU_STUB_OPTIONS=--device bar0-size=63K' >/etc/vgpu-stub/bad.conf
systemctl start vgpu-stub-vfio-user@bad && fail "it starts with a bad option"
journal vgpu-stub-vfio-user@bad | grep -q 'error: .*BAR0 cannot be 64512 bytes' || fail "the journal has no cause"
systemctl stop vgpu-stub-vfio-user@bad vgpu-stub-vfio-user@one
[ "$(ls /run/vgpu-stub)" = two ] || fail "something is left of those that were stopped"

# XCP-ng's unit, where there is no Xen: the cause is in the journal, and what it was given is gone.
cp ./vgpu-stub-xen@.service /etc/systemd/system
systemctl daemon-reload
echo 'VGPU_STUB_OPTIONS=--device slot=0x18' >/run/vgpu-stub/xen-7.options
systemctl start vgpu-stub-xen@7 && fail "it starts without Xen"
journal vgpu-stub-xen@7 | grep -q "error: cannot open Xen's /dev/xen/privcmd" || fail "the journal has no cause"
[ ! -e /run/vgpu-stub/xen-7.options ] || fail "its options are left"

# The package is upgraded; a server that runs stays, with the program that it has.
served=$(process two)
dpkg --install vgpu-stub.deb
[ "$(process two)" = "$served" ] && ctl two info | grep -q 'BAR0 size *65536' || fail "an upgrade took a VM's device"
case $(readlink "/proc/$served/exe") in
*' (deleted)') ;;
*) fail "nothing was replaced" ;;
esac

# The package goes, and systemd knows; a server that runs stays.
dpkg --purge vgpu-stub
[ "$(property two NeedDaemonReload)" = no ] || fail "systemd was not told"
[ "$(process two)" = "$served" ] && [ -e "/proc/$served" ] || fail "a VM has lost its device"

# vgpud, by the manager of a user: all programs of that user have a device, and no others.
dpkg --install vgpu-tools.deb vgpu-guest.deb vgpu-host.deb
useradd --create-home cuda
runtime=/run/user/$(id -u cuda)
install --directory --owner cuda --group cuda --mode 700 "$runtime"
systemd-run --quiet --unit managed --uid cuda --property Delegate=yes --property Type=notify --property KillMode=mixed \
    --setenv XDG_RUNTIME_DIR="$runtime" --setenv HOME=/home/cuda /lib/systemd/systemd --user
as_cuda() {
    setpriv --reuid cuda --regid cuda --clear-groups env XDG_RUNTIME_DIR="$runtime" HOME=/home/cuda "$@"
}
vgpud() { as_cuda systemctl --user show --property "$1" --value vgpud; }
adds() { "$@" ./cuda-add >said 2>&1 && grep -q 'sums are right on vgpu CPU engine' said; }
complaints=$(as_cuda systemd-analyze verify --user /usr/lib/systemd/user/vgpud.service 2>&1) || :
[ -z "$complaints" ] || fail "systemd says: $complaints"
adds as_cuda && fail "there is a device without vgpud"
as_cuda systemctl --user enable --now vgpud || fail "vgpud does not start"
adds as_cuda || fail "a program has no device: $(cat said)"
adds env && fail "another user's program has a device"
died=$(vgpud MainPID)
kill -9 "$died"
for _second in 1 2 3 4 5 6 7 8 9; do
    sleep 1
    ! adds as_cuda || break
done
adds as_cuda && [ "$(vgpud MainPID)" != "$died" ] || fail "vgpud is not started again: $(cat said)"
as_cuda systemctl --user stop vgpud && [ "$(vgpud Result)" = success ] || fail "vgpud does not end in order"
adds as_cuda && fail "there is a device after vgpud"
as_cuda mkdir -p /home/cuda/.config/vgpu
echo 'VGPUD_OPTIONS=--engine gpu' >/home/cuda/.config/vgpu/vgpud.conf
as_cuda systemctl --user start vgpud && fail "vgpud starts with a bad option"
[ "$(vgpud NRestarts)" = 0 ] || fail "a bad option is tried again"
systemctl stop managed

# That of virtual machines: not without a configuration; then anybody's server reaches it, and operators as root.
# A systemd before 254, as this one, does not know one key and says so.
complaints=$(systemd-analyze verify vgpud-link.service 2>&1 | grep -v "Unknown key.* 'DelegateSubgroup'") || :
[ -z "$complaints" ] || fail "systemd says: $complaints"
systemctl start vgpud-link
[ ! -e /run/vgpu/link ] || fail "vgpud-link starts without a configuration"
mkdir /etc/vgpu
printf '[[machine]]\nuuid = "6f9619ff-8b86-d011-b42d-00c04fc964ff"\nuid = %s\n' "$(id -u nobody)" >/etc/vgpu/link.toml
systemctl start vgpud-link || fail "vgpud-link does not start"
vgpu status || fail "vgpud-link does not answer"
setpriv --reuid nobody --regid nogroup --clear-groups test -w /run/vgpu/link || fail "a server does not reach vgpud-link"
setpriv --reuid nobody --regid nogroup --clear-groups vgpu status && fail "vgpud-link answers anybody"
link() { systemctl show --property MainPID --value vgpud-link; }
# CAP_KILL, CAP_SETGID and CAP_SETUID: bits 5 to 7.
grep -q '^CapPrm:.*00e0$' "/proc/$(link)/status" || fail "vgpud-link has other rights than it needs"
vgpu reload && systemctl reload vgpud-link && vgpu status || fail "vgpud-link is not reloaded"

# One that dies while a machine's worker lives, here a process in a group as a worker's: the next one comes, divides the groups
# again, and ends what nobody has taken over.
groups=/sys/fs/cgroup/system.slice/vgpud-link.service
divided() { grep -q 'memory pids' $groups/cgroup.subtree_control; }
divided || fail "vgpud-link has no groups with bounds"
mkdir $groups/vm-1
sleep 600 &
worker=$!
echo $worker >$groups/vm-1/cgroup.procs
died=$(link)
systemctl kill --signal=KILL --kill-who=main vgpud-link
for _second in 1 2 3 4 5; do
    sleep 1
    ! vgpu status || break
done
vgpu status && [ "$(link)" != "$died" ] || fail "vgpud-link is not started again"
divided || fail "vgpud-link has no groups with bounds after it died"
kill -0 $worker || fail "systemd has ended a worker"
for _second in 1 2 3 4 5 6 7 8 9; do
    [ -e $groups/vm-1 ] || break
    sleep 1
done
[ ! -e $groups/vm-1 ] || fail "a group is left that nobody has taken over"
systemctl stop vgpud-link && [ ! -e /run/vgpu ] || fail "vgpud-link leaves something"
dpkg --purge vgpu-guest vgpu-host vgpu-tools
echo "units: all is well"
