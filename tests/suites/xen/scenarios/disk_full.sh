# No room for what the emulator keeps: it says so before the guest runs, and leaves nothing. With room once, it never needs
# more, also where another process takes over.
# Room for the registers, the record, and another record that takes its place, as /run is a file system in memory.
mkdir -p /run/vgpu-stub
mount -t tmpfs -o size=16k,mode=700 tmpfs /run/vgpu-stub || fail "no tmpfs"
fill() { dd if=/dev/zero of=/run/vgpu-stub/filler bs=4k 2>/dev/null; }
# refused: what has just ended named the cause and the mend.
refused() {
    cat /tmp/said
    grep -q '^error: .*No space left on device' /tmp/said && grep -q '^mend: ' /tmp/said || fail "no cause and mend"
}

# A vfio-user server keeps nothing but its socket.
mkdir /run/full
mount -t tmpfs -o nr_inodes=1 tmpfs /run/full || fail "no tmpfs"
vgpu-stub vfio-user --socket /run/full/vgpu.sock 2>/tmp/said && fail "it has a socket on a full disk"
refused
umount /run/full

guest_script g1 <<X
$tester
X
guest_config g1 >/run/bed/g1.cfg
xl create -p /run/bed/g1.cfg || fail "xl create failed"
domain=$(xl domid g1)

fill
vgpu-stub xen --domid "$domain" 2>/tmp/said && fail "it starts on a full disk"
refused
rm /run/vgpu-stub/filler
nothing_left

vgpu-stub xen --detached --domid "$domain" >/tmp/ready 2>/tmp/log &
ready() { grep -q ready /tmp/ready; }
wait_for 10 ready || { cat /tmp/log; fail "there was room"; }
fill
xl unpause g1
wait_guest g1 'guest: up'
kill -9 "$(serving)"
tell_guest g1 one
heard one
[ -s /run/vgpu-stub/filler ] || fail "the disk was not full"
rm /run/vgpu-stub/filler
destroy g1
