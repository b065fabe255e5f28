# The same with two vCPUs, and both of them at the device at once.
start_guest g1 2 "$(device_model)" <<'X'
[ "$(grep -c ^processor /proc/cpuinfo)" -eq 2 ] || { echo "guest: one processor"; exit 1; }
vgpu-stub check || exit 1
vgpu-conformance 0000:00:18.0 || exit 1
for cpu in 1 2; do
    taskset $cpu sh -c 'for i in $(seq 200); do setpci -s 18 0.l; done | sort -u' &
done
wait
echo "guest: all is well"
X
wait_guest g1 'guest: all is well|script ended'
guest_log g1
guest_log g1 | grep -q 'guest: all is well' || fail "the guest found a fault"
[ "$(guest_log g1 | grep -c '^11111af4$')" -eq 2 ] || fail "a vCPU read something else"
wait_gone g1
nothing_left
