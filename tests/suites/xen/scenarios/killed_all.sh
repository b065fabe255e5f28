# kill -9 of all processes of an emulator at once, as the kernel does for memory: no vCPU waits for ever, and nothing is lost.
# The next emulator goes on with all registers; --clean-up takes the device away.
domain=$(xl domid g1)
# start [OPTION...]: another emulator, until it answers.
start() {
    rm -f /tmp/ready
    vgpu-stub xen --detached --domid "$domain" "$@" >/tmp/ready 2>/tmp/log &
    ready() { grep -q ready /tmp/ready; }
    wait_for 10 ready || { cat /tmp/ready /tmp/log; fail "another emulator does not start"; }
}
kill_all() {
    kill -9 $(supervisor) $(serving)
    wait_for 5 no_emulators || fail "they live"
}

in_guest g1 'vgpu-conformance 0000:00:18.0 registers >/dev/null; setpci -s 18 3c.b=5a'
kill_all
# A vCPU waits: for the next emulator, which knows what the guest wrote.
tell_guest g1 'echo "guest: read $(setpci -s 18 3c.b)"'
sleep 2
says g1 'guest: read' && fail "somebody answers"
start
grep -q 'goes on with its registers' /tmp/log || { cat /tmp/log; fail "it does not say so"; }
wait_guest g1 'guest: read' 30
says g1 'guest: read 5a' || { guest_log g1 | tail -n 5; fail "its registers are lost"; }

# Again and again, without an access in between: no server is left beside the one that answers.
for _time in 1 2; do
    kill_all
    start
done
in_guest g1 'setpci -s 18 3c.b | grep 5a'

# For another device, the old one ends.
kill_all
start --device bar0-size=64K
in_guest g1 'setpci -s 18 0.l 3c.b | tr "\n" " " | grep "11111af4 ff"'
# Xen tells all servers of a change of the guest's memory, and waits for each.
xl mem-set g1 160 || fail "xl mem-set fails"
sleep 2
in_guest g1 true

# In the middle of a start: the process that is to answer has not begun.
kill_all
for _delay in 0 0.01 0.03 0.1; do
    vgpu-stub xen --detached --domid "$domain" >/dev/null 2>&1 &
    _pid=$!
    sleep $_delay
    kill -9 $_pid $(serving) 2>/dev/null
    wait $_pid 2>/dev/null
done
wait_for 10 no_emulators || { ps -o pid,args; fail "a process has outlived its supervisor"; }

# Without another emulator, while the guest asks; it goes on without the device.
start
vgpu-stub xen --domid "$domain" --clean-up 2>/tmp/said && fail "an emulator that lives is cleaned up"
grep -q 'has an emulator of this device already' /tmp/said || { cat /tmp/said; fail "no cause"; }
kill_all
tell_guest g1 'echo "guest: without $(setpci -s 18 0.l)"'
sleep 2
vgpu-stub xen --domid "$domain" --clean-up || fail "it cannot be cleaned up"
wait_guest g1 'guest: without' 30
says g1 'guest: without ffffffff' || { guest_log g1 | tail -n 5; fail "there is a device still"; }
nothing_left
vgpu-stub xen --domid "$domain" --clean-up || fail "with nothing to do it fails"
nothing_left

# Whatever the guest has put beside its device's keys.
start
for _name in $(seq 100 120); do
    xenstore-write "/local/domain/$domain/device/vgpu/$_name$(head -c 200 /dev/zero | tr '\0' x)" x
done
kill "$(supervisor)"
nothing_left

# All but one of the 8 servers are others': none of ours was left.
left=8
while /host/ioreq-server "$domain" >/dev/null; do left=$((left - 1)); done
echo "$left of 8 servers were there"
[ "$left" -eq 1 ] || fail "ioreq servers are left"

# There is no room for one of ours any more: it says so, and leaves nothing.
vgpu-stub xen --domid "$domain" 2>/tmp/said && fail "it starts without an ioreq server"
grep -q 'cannot make an ioreq server' /tmp/said || { cat /tmp/said; fail "no cause"; }
nothing_left
xl destroy g1
wait_gone g1
