# The host's side of a served device, across a takeover too.
guest_script g1 <<'X'
vgpu-stub check || exit 1
echo "guest: up"
read -r word
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
vgpu-stub ctl --control /run/control shutdown || fail "no shutdown"
wait_for 5 no_emulators || fail "it did not end"
[ ! -e /run/control ] || fail "the control socket is left"
destroy g1
