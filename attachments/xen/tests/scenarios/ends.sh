# However a domain ends, nothing is left: its own shutdown, reboot, destroy, pause and destroy.
start_guest g1 1 "$(device_model)" 'on_reboot = "restart"' <<'X'
vgpu-stub check || exit 1
echo "guest: up"
read -r word
reboot -f
X
wait_guest g1 'guest: up|script ended'
first=$(xl domid g1)
before=$(serving)
tell_guest g1 go
rebooted() { now=$(xl domid g1 2>/dev/null) && [ "$now" != "$first" ] && [ -n "$(serving)" ]; }
wait_for 40 rebooted || { guest_log g1; xl list; tail -n 5 /var/log/xen/xl-g1.log; fail "it was not started again"; }
[ "$(serving)" != "$before" ] || fail "the old emulator still runs"
[ "$(emulators)" -eq 2 ] || fail "emulators are left from before the reboot"
# The new one has the device too.
wait_for 30 sh -c '[ "$(grep -c "guest: up" /var/log/xen/guest-g1.log)" -eq 2 ]' || fail "no second start"
xl pause g1
xl destroy g1
wait_gone g1
nothing_left

# Its emulator's own end leaves the VM alone.
start_guest g2 1 "$(device_model)" <<'X'
echo "guest: up"
while read -r word; do
    echo "guest: $(setpci -s 18 0.l 2>&1 || echo nothing)"
done
X
wait_guest g2 'guest: up'
tell_guest g2 look
wait_guest g2 'guest: 11111af4'
kill $(ps -o pid,args | awk '/[v]gpu-stub xen --detached/ { print $1 }')
wait_for 5 no_emulators || fail "it did not end"
tell_guest g2 look
wait_guest g2 'guest: ffffffff'
xl destroy g2
wait_gone g2
nothing_left
