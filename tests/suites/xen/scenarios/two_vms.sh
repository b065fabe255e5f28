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
# The first VM's emulator is killed, and then the VM ends: the other's emulator goes on, and the next one of any VM removes
# what is left.
first=$(xl domid g1)
kill -9 $(ps -o pid,args | awk -v domain="$first" '/[v]gpu-stub xen/ && $0 ~ "--domid " domain " " { print $1 }')
xl destroy g1
wait_gone g1
[ "$(emulators)" -eq 2 ] || fail "the end of one took the other's emulator"
xenstore-exists "/local/domain/0/backend/vgpu/$first" || fail "somebody has removed the keys already"
kill "$(supervisor)"
wait_for 5 no_emulators || fail "it does not end"
vgpu-stub xen --detached --domid "$(xl domid g2)" >/tmp/ready 2>/tmp/log &
ready() { grep -q ready /tmp/ready; }
wait_for 10 ready || { cat /tmp/log; fail "another emulator does not start"; }
xenstore-exists "/local/domain/0/backend/vgpu/$first" && fail "keys are left of a domain that is gone"
destroy g2
