# Two vCPUs: the seven criteria, the suite's registers, and both vCPUs at the device at once.
in_guest g1 '[ "$(grep -c ^processor /proc/cpuinfo)" -eq 2 ]'
in_guest g1 'vgpu-stub check'
# Each of the 64 reads of a pass asks the device.
in_guest g1 'echo "for pass in 1 2 3 4; do dd if=/sys/bus/pci/devices/0000:00:18.0/config bs=4 2>/dev/null | md5sum; done | sort -u" >/tmp/sums'
in_guest g1 'for cpu in 1 2; do taskset $cpu sh /tmp/sums & done; wait'
for cpu in 1 2; do
    in_guest g1 "taskset $cpu vgpu-conformance 0000:00:18.0 registers"
done
guest_log g1
sums=$(guest_log g1 | grep -E '^[0-9a-f]{32}  -$')
[ "$(echo "$sums" | wc -l)" -eq 2 ] && [ "$(echo "$sums" | uniq | wc -l)" -eq 1 ] || fail "the vCPUs read different bytes"
destroy g1
