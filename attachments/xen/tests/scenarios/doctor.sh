# The doctor in dom0: a domain that is well, then faults in it. Each is named alone, and what is typed mends it.

# faults NAME prints the points of the domain with a fault.
faults() {
    vgpu-stub doctor --vm "$1" --config "/run/bed/$1.cfg" >/tmp/doctor 2>&1
    sed -nE 's/^FAULT .*\((.*)\)$/\1/p' /tmp/doctor
}

# well NAME: no point has a fault.
well() {
    _found=$(faults "$1")
    [ -z "$_found" ] && grep -q ' 0 at fault$' /tmp/doctor || { cat /tmp/doctor; fail "$1 is not well"; }
}

# found NAME POINT: this point has a fault, and no other.
found() {
    _found=$(faults "$1")
    [ "$_found" = "$2" ] || { cat /tmp/doctor; fail "not $2 alone, but: $_found"; }
    grep -A1 -E '^ +cause:' /tmp/doctor | head -n 1
}

# mends PLACE prints what the doctor said to type there.
mends() {
    sed -n "/^ *mend, $1:/{n;s/^ *//p}" /tmp/doctor
}

# mend NAME types it all.
mend() {
    mends 'on the host' >/tmp/on_the_host
    mends 'in the guest' >/tmp/in_the_guest
    while read -r _line; do
        echo "host# $_line"
        eval "$_line" </dev/null || fail "it does not work: $_line"
    done </tmp/on_the_host
    sleep 2
    while read -r _line; do
        in_guest "$1" "$_line"
    done </tmp/in_the_guest
}

# in_guest NAME LINE types a line in the guest, and waits until it is done.
in_guest() {
    echo "guest# $2"
    _done=$(guest_log "$1" | grep -c '^guest: done')
    tell_guest "$1" "$2"
    done_again() { [ "$(guest_log "$1" | grep -c '^guest: done')" -gt "$_done" ]; }
    wait_for 30 done_again "$1" || { guest_log "$1"; fail "the guest does not get done: $2"; }
    guest_log "$1" | tail -n 1 | grep -q 'done 0' || { guest_log "$1"; fail "it fails in the guest: $2"; }
}

# It obeys lines that are typed, and xl shutdown.
obedient='printf "#!/bin/sh\nbusybox poweroff -f\n" >/sbin/poweroff && chmod +x /sbin/poweroff
echo "guest: up"
while read -r line; do eval "$line"; echo "guest: done $?"; done'

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

# A domain that does not run.
found g1 process
mend g1
wait_guest g1 'guest: up'
well g1
xl destroy g1
wait_gone g1
nothing_left

# A domain that was started without the lines.
start_guest g2 1 'memory = 256' <<X
$obedient
X
wait_guest g2 'guest: up'
found g2 configured
mend g2
wait_guest g2 'guest: up'
well g2
in_guest g2 'vgpu-stub doctor --guest'
xl destroy g2
wait_gone g2
nothing_left

# A kernel that panics.
start_guest g3 1 "$(device_model)" 'memory = 256' 'on_crash = "preserve"' <<X
$obedient
X
wait_guest g3 'guest: up'
well g3
tell_guest g3 'echo c >/proc/sysrq-trigger'
wait_for 20 says g3 'Kernel panic' || { guest_log g3; fail "no panic"; }
found g3 guest-kernel
mend g3
wait_guest g3 'guest: up'
well g3
xl destroy g3
wait_gone g3
nothing_left
