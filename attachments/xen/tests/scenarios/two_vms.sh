# Two VMs at once, each with a device of its own.
start_guest g2 1 "$(device_model)" <<X
$obedient
X
wait_guest g2 'guest: up'
[ "$(emulators)" -eq 4 ] || fail "not two processes for each"
for name in g1 g2; do
    in_guest $name 'vgpu-stub check --read-only'
done
for name in g1 g2; do
    tell_guest $name 'vgpu-conformance 0000:00:18.0 registers && echo "guest: all is well"'
done
for name in g1 g2; do
    wait_guest $name 'guest: all is well|guest: done [^0]'
    says $name 'guest: all is well' || { guest_log $name; fail "$name found a fault"; }
done
xl destroy g1
wait_gone g1
[ "$(emulators)" -eq 2 ] || fail "the end of one took the other's emulator"
destroy g2
