# kill -9 of the process that answers, 20 times in the middle of a guest's accesses: none is lost or wrong.
KILLS=20
start_guest g1 "${VCPUS:-1}" "$(device_model)" <<'X'
echo "guest: working"
for round in $(seq 60); do
    vgpu-conformance 0000:00:18.0 >/tmp/conformance || { cat /tmp/conformance; echo "guest: WRONG"; exit 1; }
    echo "guest: round $round"
    [ -e /tmp/enough ] && break
done
echo "guest: never wrong"
X
wait_guest g1 'guest: working'
killed=0
while [ $killed -lt $KILLS ]; do
    pid=$(serving)
    [ -n "$pid" ] || { sleep 0.1; continue; }
    kill -9 "$pid"
    killed=$((killed + 1))
    # Not so often that it gives up: 5 deaths in 10 seconds are too many.
    sleep 2.2
done
rounds=$(guest_log g1 | grep -c 'guest: round')
echo "killed $killed times during $rounds rounds of the suite"
[ "$rounds" -ge 3 ] || fail "the guest hangs"
guest_log g1 | grep -q WRONG && { guest_log g1; fail "the guest read something wrong"; }
goes_on() { [ "$(guest_log g1 | grep -c 'guest: round')" -gt "$rounds" ]; }
wait_for 60 goes_on || fail "the guest hangs after the last one"
guest_log g1 | grep -q WRONG && { guest_log g1; fail "the guest read something wrong"; }
grep -c 'starting another' /var/log/xen/qemu-dm-g1.log
xl destroy g1
wait_gone g1
nothing_left
