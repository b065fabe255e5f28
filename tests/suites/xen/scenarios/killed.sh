# kill -9 of the process that answers, in the middle of a guest's accesses: none is lost or wrong. One that dies again and
# again is given up, and the guest goes on without the device: it reads all ones.
KILLS=5 # More of them within ten seconds, and it is given up.
tell_guest g1 'echo "guest: working"; while vgpu-conformance 0000:00:18.0 registers >/tmp/log; do echo "guest: round"; done'
tell_guest g1 'cat /tmp/log; echo "guest: $(setpci -s 18 0.l 2>&1)"'
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
says g1 'guest: [0-9a-f]{8}$' && { guest_log g1; fail "the guest read something wrong"; }
# One that was killed before it could answer did not start; it is started again as well.
restarts=$(grep -cE 'starting another|did not start' /var/log/xen/qemu-dm-g1.log)
echo "killed $killed times, started again $restarts times, $(rounds) rounds of the guest"
[ "$restarts" -eq $KILLS ] || fail "it was not started again each time"

kill_until_given_up
tail -n 2 /var/log/xen/qemu-dm-g1.log
grep -q 'dies again and again' /var/log/xen/qemu-dm-g1.log || fail "the log does not say so"
wait_guest g1 'guest: ffffffff'
destroy g1
