# The conformance suite in a guest; the seven criteria hold afterwards.
start_guest g1 1 "$(device_model)" <<'X'
vgpu-conformance 0000:00:18.0 || exit 1
vgpu-stub check >/tmp/check || { cat /tmp/check; exit 1; }
echo "guest: all is well"
X
wait_guest g1 'guest: all is well|script ended'
guest_log g1
says g1 'guest: all is well' || fail "the guest found a fault"
wait_gone g1
nothing_left
