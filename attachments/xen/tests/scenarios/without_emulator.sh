# The VM goes on without the device when its emulator is told to end, and reads all ones.
start_guest g1 1 "$(device_model)" <<'X'
echo "guest: up"
while read -r word; do
    echo "guest: $(setpci -s 18 0.l 2>&1 || echo nothing)"
done
X
wait_guest g1 'guest: up'
tell_guest g1 look
wait_guest g1 'guest: 11111af4'
kill "$(supervisor)"
wait_for 5 no_emulators || fail "it did not end"
tell_guest g1 look
wait_guest g1 'guest: ffffffff'
xl destroy g1
wait_gone g1
nothing_left
