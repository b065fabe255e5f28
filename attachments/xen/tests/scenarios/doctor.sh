# The doctor in dom0: a domain that is well, then faults in it. Each is named alone, and what is typed mends it.
start_guest g1 1 "$(device_model)" <<X
$obedient
X
wait_guest g1 'guest: up'
well g1
cat /tmp/doctor
in_guest g1 'vgpu-stub doctor --guest'
vgpu-stub doctor --domid "$(xl domid g1)" >/tmp/doctor || { cat /tmp/doctor; fail "not well by its number"; }

# The link is gone, without which the next start fails.
rm /usr/lib/vgpu-stub/vgpu-stub-device-model
found g1 installed
mend g1
well g1

xl pause g1
found g1 guest-kernel
mend g1
well g1

kill -STOP "$(serving)"
found g1 process
mend g1
well g1

# The emulator is ended; the VM goes on, and gets its device back.
kill $(ps -o pid,args | awk '/[v]gpu-stub xen --detached/ { print $1 }')
wait_for 5 no_emulators || fail "it did not end"
found g1 process
mend g1
well g1
in_guest g1 'vgpu-stub check'

# Given up. The log says so, also after the mend.
for death in 1 2 3 4 5 6 7; do
    pid=$(serving)
    [ -n "$pid" ] || break
    kill -9 "$pid"
    sleep 0.3
done
wait_for 5 no_emulators || fail "it is still tried"
found g1 process
mend g1
found g1 log
mend g1 | grep 'again and again' || fail "the mend does not show the complaint"
in_guest g1 'vgpu-stub doctor --guest'

# Without its supervisor nobody would start the emulator again.
kill -9 $(ps -o pid,args | awk '/[v]gpu-stub xen --domid/ { print $1 }')
found g1 process
mend g1
in_guest g1 'vgpu-stub doctor --guest'
xl destroy g1
wait_gone g1
nothing_left
