# No room for what the emulator keeps: it says so at once. With room once, it never needs more.
# A folder of one page, as /run is a file system in memory.
mkdir -p /run/vgpu-stub
mount -t tmpfs -o size=8k,mode=700 tmpfs /run/vgpu-stub || fail "no tmpfs"
fill() { dd if=/dev/zero of=/run/vgpu-stub/filler bs=4k 2>/dev/null; }

guest_script g1 <<'X'
echo "guest: up"
while read -r word; do
    vgpu-conformance 0000:00:18.0 registers >/tmp/conformance || { cat /tmp/conformance; echo "guest: WRONG"; }
    echo "guest: heard $word"
done
X
guest_config g1 1 "$(device_model)" >/run/bed/g1.cfg
fill
xl create /run/bed/g1.cfg && fail "it was created on a full disk"
tail -n 2 /var/log/xen/qemu-dm-g1.log
last=$(tail -n 1 /var/log/xen/qemu-dm-g1.log)
echo "$last" | grep -q 'No space left on device' || fail "the last line is not the cause"
gone g1 || fail "g1 is left"
no_emulators || fail "emulators are left"
rm /run/vgpu-stub/filler
[ -z "$(ls /run/vgpu-stub)" ] || fail "files are left: $(ls -R /run/vgpu-stub)"

# A vfio-user server keeps nothing but its socket.
mkdir /run/full
mount -t tmpfs -o nr_inodes=1 tmpfs /run/full || fail "no tmpfs"
vgpu-stub vfio-user --socket /run/full/vgpu.sock 2>/tmp/said && fail "it has a socket on a full disk"
cat /tmp/said
grep -q '^error: .*No space left on device' /tmp/said && grep -q '^mend: ' /tmp/said || fail "no cause and mend"
umount /run/full

xl create /run/bed/g1.cfg || fail "there was room"
wait_guest g1 'guest: up'
fill
tell_guest g1 one
wait_guest g1 'guest: heard one'
kill -9 "$(serving)"
tell_guest g1 two
wait_guest g1 'guest: heard two'
says g1 WRONG && { guest_log g1; fail "the guest read something wrong"; }
rm /run/vgpu-stub/filler
xl destroy g1
wait_gone g1
nothing_left
