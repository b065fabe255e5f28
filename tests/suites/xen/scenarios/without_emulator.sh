# The VM goes on without the device when its emulator is told to end, and reads all ones. What the doctor says to type
# brings it back, and gives an emulator that has lost its supervisor another one.
in_guest g1 'setpci -s 18 0.l | grep 11111af4'
kill "$(supervisor)"
wait_for 5 no_emulators || fail "it did not end"
in_guest g1 'setpci -s 18 0.l | grep ffffffff'
found g1 process
mend g1
well g1
in_guest g1 'setpci -s 18 0.l | grep 11111af4'

# Nobody would start the emulator again.
kill -9 "$(supervisor)"
found g1 process
mend g1
in_guest g1 'vgpu-stub check'
destroy g1
