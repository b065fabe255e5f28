# kill -9 of the process that answers, in the middle of a guest's accesses: none is lost or wrong.
KILLS=5 # More of them within ten seconds, and it is given up.
start_guest g1 "${VCPUS:-1}" "$(device_model)" <<'X'
echo "guest: working"
for round in $(seq 100); do
    vgpu-conformance 0000:00:18.0 registers >/tmp/conformance || { cat /tmp/conformance; echo "guest: WRONG"; exit 1; }
    echo "guest: round $round"
done
X
rounds() { guest_log g1 | grep -c 'guest: round'; }
more_rounds() { [ "$(rounds)" -gt "$before" ]; }

wait_guest g1 'guest: working'
killed=0
while [ $killed -lt $KILLS ]; do
    pid=$(serving)
    [ -n "$pid" ] || { sleep 0.05; continue; }
    kill -9 "$pid"
    killed=$((killed + 1))
    # Each at another moment of the guest's.
    sleep "0.$((killed * 7 % 10 + 2))"
done
before=$(rounds)
wait_for 30 more_rounds || { guest_log g1; fail "the guest hangs"; }
says g1 WRONG && { guest_log g1; fail "the guest read something wrong"; }
restarts=$(grep -c 'starting another' /var/log/xen/qemu-dm-g1.log)
echo "killed $killed times, started again $restarts times, $(rounds) rounds of the guest"
[ "$restarts" -eq $KILLS ] || fail "it was not started again each time"
xl destroy g1
wait_gone g1
nothing_left
