# Two VMs at once, each with a device of its own.
for name in g1 g2; do
    start_guest $name 1 "$(device_model)" 'memory = 192' <<X
echo "guest: up"
read -r word
vgpu-conformance 0000:00:18.0 registers || exit 1
echo "guest: all is well"
read -r word
X
    # One after the other: they share a processor.
    wait_guest $name 'guest: up|script ended'
done
[ "$(emulators)" -eq 4 ] || fail "not two processes for each"
for name in g1 g2; do
    tell_guest $name go
done
for name in g1 g2; do
    wait_guest $name 'guest: all is well|script ended'
    says $name 'guest: all is well' || { guest_log $name; fail "$name found a fault"; }
done
xl destroy g1
wait_gone g1
[ "$(emulators)" -eq 2 ] || fail "the end of one took the other's emulator"
xl destroy g2
wait_gone g2
nothing_left
