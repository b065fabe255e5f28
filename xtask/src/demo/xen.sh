# The demo on Xen, in dom0: as docs/xen.md has it.
. /bed/lib.sh

# dom0 COMMAND: shows the command, and runs it.
dom0() {
    echo "dom0# $1"
    eval "$1" || fail "exit status $?"
    echo
}

guest_script vm <<'END'
guest() {
    echo "guest# $1"
    eval "$1" || exit
    echo
}
guest "lspci -nnvvv -d 1af4:1111"
guest "vgpu-stub check"
END
guest_config vm >/etc/xen/vm.cfg

dom0 "vgpu-stub xl-config --file /etc/xen/vm.cfg"
dom0 "xl create /etc/xen/vm.cfg"
wait_guest vm 'bed: guest script ended'
dom0 "ps -o args | grep '[v]gpu-stub xen'"
guest_log vm | sed '/^bed: guest script ended/,$d'
says vm 'ended, status 0' || fail "the guest does not find the device as it should"
