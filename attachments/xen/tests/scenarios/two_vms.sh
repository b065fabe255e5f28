# Two VMs at once, each with a device of its own.
for name in g1 g2; do
    start_guest $name 1 "$(device_model)" 'memory = 256' <<X
vgpu-stub check || exit 1
vgpu-conformance 0000:00:18.0 registers || exit 1
echo "guest: all is well"
X
done
[ "$(emulators)" -eq 4 ] || fail "not two processes for each"
for name in g1 g2; do
    wait_guest $name 'guest: all is well|script ended' 90
    guest_log $name | grep -q 'guest: all is well' || { guest_log $name; fail "$name found a fault"; }
done
wait_gone g1
wait_gone g2
nothing_left
