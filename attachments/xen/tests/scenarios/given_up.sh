# A process that dies again and again is given up: the guest goes on without the device, and reads all ones.
start_guest g1 1 "$(device_model)" <<'X'
echo "guest: up"
while read -r word; do
    echo "guest: $(setpci -s 18 0.l 2>&1)"
done
X
wait_guest g1 'guest: up'
for death in 1 2 3 4 5 6 7; do
    pid=$(serving)
    [ -n "$pid" ] || break
    kill -9 "$pid"
    sleep 0.3
done
wait_for 5 no_emulators || fail "it is still tried"
tail -n 2 /var/log/xen/qemu-dm-g1.log
grep -q 'dies again and again' /var/log/xen/qemu-dm-g1.log || fail "the log does not say so"
tell_guest g1 look
wait_guest g1 'guest: ffffffff'
xl destroy g1
wait_gone g1
nothing_left
