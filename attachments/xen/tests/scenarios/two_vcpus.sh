# Two vCPUs: the criteria, the suite's registers, and both vCPUs at the device at once.
start_guest g1 2 "$(device_model)" <<'X'
[ "$(grep -c ^processor /proc/cpuinfo)" -eq 2 ] || { echo "guest: one processor"; exit 1; }
vgpu-stub check --read-only || exit 1
for cpu in 1 2; do
    # Each of the 64 reads of a pass asks the device.
    taskset $cpu sh -c 'for pass in $(seq 4); do
        dd if=/sys/bus/pci/devices/0000:00:18.0/config bs=4 2>/dev/null | md5sum
    done | sort -u' &
done
wait
for cpu in 1 2; do
    taskset $cpu vgpu-conformance 0000:00:18.0 registers || exit 1
done
echo "guest: all is well"
X
wait_guest g1 'guest: all is well|script ended'
guest_log g1
says g1 'guest: all is well' || fail "the guest found a fault"
sums=$(guest_log g1 | grep -E '^[0-9a-f]{32}  -$')
[ "$(echo "$sums" | wc -l)" -eq 2 ] && [ "$(echo "$sums" | uniq | wc -l)" -eq 1 ] || fail "the vCPUs read different bytes"
wait_gone g1
nothing_left
