# The host's side of a device of xl's, across a takeover too.
socket=/run/vgpu-stub/xen-$(xl domid g1)/control.sock
[ "$(stat -c %a "$socket")" = 600 ] || fail "others than root may connect"
ctl() { vgpu-stub ctl --control "$socket" "$@"; }
ctl info || fail "no info"
ctl set-status 0x1234 || fail "no set-status"
kill -9 "$(serving)"
again() { ctl registers >/tmp/registers 2>&1; }
wait_for 10 again || { cat /tmp/registers; fail "the next one does not answer"; }
grep -q 0x00001234 /tmp/registers || { cat /tmp/registers; fail "Status is lost"; }

# A guest that floods the trace: the log takes 1000 lines of it, then 100 a second.
log=/var/log/xen/qemu-dm-g1.log
before=$(wc -l <$log)
started=$(date +%s)
ctl trace on || fail "no trace"
in_guest g1 'vgpu-hostile 0000:00:18.0 --seconds 8'
lines=$(($(wc -l <$log) - before))
most=$((1000 + 100 * ($(date +%s) - started + 2)))
echo "the log has $lines lines more, of $most at most"
[ "$lines" -gt 1000 ] && [ "$lines" -le "$most" ] || { tail -n 20 $log; fail "not what it should take"; }
ctl shutdown || fail "no shutdown"
nothing_left

# Its path is taken, or its folder locked: the guest is answered all the same, also by the next process. What is there stays.
domain=$(xl domid g1)
mkdir /run/taken
echo mine >/run/taken/control
flock /run/taken sleep 60 &
vgpu-stub xen --detached --domid "$domain" --control /run/taken/control >/tmp/ready 2>/tmp/log &
ready() { grep -q ready /tmp/ready; }
wait_for 10 ready || { cat /tmp/ready /tmp/log; fail "it does not start without a control socket"; }
in_guest g1 'setpci -s 18 0.l | grep 11111af4'
kill -9 "$(serving)"
in_guest g1 'setpci -s 18 0.l | grep 11111af4'
[ "$(grep -c 'there is no control socket' /tmp/log)" -eq 2 ] || { cat /tmp/log; fail "it does not say so"; }
destroy g1
[ "$(cat /run/taken/control)" = mine ] || fail "it has removed another's file"
