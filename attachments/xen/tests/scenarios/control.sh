# The host's side of a served device, across a takeover too.
guest_script g1 <<X
vgpu-stub check || exit 1
$obedient
X
guest_config g1 1 >/run/bed/g1.cfg
xl create -p /run/bed/g1.cfg || fail "xl create failed"
vgpu-stub xen --domid "$(xl domid g1)" --control /run/control >/tmp/ready 2>/tmp/log &
wait_for 10 grep -q 'ready for domain' /tmp/ready || { cat /tmp/log; fail "it is not ready"; }
xl unpause g1
wait_guest g1 'guest: up'
vgpu-stub ctl --control /run/control info || fail "no info"
vgpu-stub ctl --control /run/control set-status 0x1234 || fail "no set-status"
kill -9 "$(serving)"
again() { vgpu-stub ctl --control /run/control registers >/tmp/registers 2>&1; }
wait_for 10 again || { cat /tmp/registers /tmp/log; fail "the next one does not answer"; }
grep -q 0x00001234 /tmp/registers || { cat /tmp/registers; fail "Status is lost"; }
# A guest that floods the trace: the log takes 1000 lines of it, then 100 a second.
started=$(date +%s)
vgpu-stub ctl --control /run/control trace on || fail "no trace"
in_guest g1 'vgpu-hostile 0000:00:18.0 --seconds 3'
lines=$(wc -l </tmp/log)
most=$((1000 + 100 * ($(date +%s) - started + 2)))
echo "the log has $lines lines, of $most at most"
[ "$lines" -gt 1000 ] && [ "$lines" -le "$most" ] || { tail -n 20 /tmp/log; fail "not what it should take"; }
vgpu-stub ctl --control /run/control shutdown || fail "no shutdown"
wait_for 5 no_emulators || fail "it did not end"
[ ! -e /run/control ] || fail "the control socket is left"
destroy g1
