# What the scenarios of this folder share, before each of them.
. /bed/lib.sh

# device_model [WORD...] prints the lines that give a domain the device, as the user's guide has them.
device_model() {
    echo 'device_model_version = "qemu-xen"'
    echo 'device_model_override = "/usr/lib/vgpu-stub/vgpu-stub-device-model"'
    printf 'device_model_args = [ '
    for _word in "${@:-vgpu-stub}"; do
        printf '"-device", "%s", ' "$_word"
    done
    echo ']'
}

# serving prints the process ids of the processes that answer guests.
serving() {
    ps -o pid,args | awk '/vgpu-stub xen --serving/ && !/awk/ { print $1 }'
}

# supervisor prints the process id of the process over it.
supervisor() {
    ps -o pid,args | awk '/vgpu-stub xen / && !/--serving/ && !/awk/ { print $1 }'
}

# emulators prints how many processes of emulators there are.
emulators() {
    ps -o args | grep -c '[v]gpu-stub xen'
}

no_emulators() {
    [ "$(emulators)" -eq 0 ]
}

# nothing_left: no process, no key in xenstore, no file of an emulator is left.
nothing_left() {
    wait_for 5 no_emulators || { ps -o pid,args; fail "emulators are left"; }
    xenstore-ls /local/domain/0/backend 2>/dev/null | grep -q vgpu && fail "keys are left in xenstore"
    [ -z "$(ls /run/vgpu-stub 2>/dev/null)" ] || fail "files are left: $(ls -R /run/vgpu-stub)"
}

# destroy NAME: ends the domain, and nothing is left of it.
destroy() {
    xl destroy "$1"
    wait_gone "$1"
    nothing_left
}

# proportional_kib PID... prints the proportional set size of the processes together.
proportional_kib() {
    for _pid in "$@"; do
        awk '/^Pss:/ { print $2 }' "/proc/$_pid/smaps_rollup"
    done | awk '{ sum += $1 } END { print sum }'
}

# kill_until_given_up: as long as another process is started, it dies.
kill_until_given_up() {
    for _look in $(seq 200); do
        no_emulators && return
        _pid=$(serving)
        [ -z "$_pid" ] || kill -9 "$_pid"
        sleep 0.2
    done
    fail "it is still tried"
}

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
    [ ! -s /tmp/in_the_guest ] || sleep 2 # What was typed on the host may go on behind its back.
    while read -r _line; do
        in_guest "$1" "$_line"
    done </tmp/in_the_guest
}

# in_guest NAME LINE types a line in the guest, and waits until it is done.
in_guest() {
    echo "guest# $2 ($(now) s after the machine's start)"
    _done=$(guest_log "$1" | grep -c '^guest: done')
    tell_guest "$1" "$2"
    done_again() { [ "$(guest_log "$1" | grep -c '^guest: done')" -gt "$_done" ]; }
    wait_for 30 done_again "$1" || { guest_log "$1"; fail "the guest does not get done: $2"; }
    guest_log "$1" | tail -n 1 | grep -q 'done 0' || { guest_log "$1"; fail "it fails in the guest: $2"; }
}

# wait_up_again NAME: until the guest has said for the second time that it is up. Its next start goes to the same log.
wait_up_again() {
    up_again() { [ "$(guest_log "$1" | grep -c 'guest: up')" -eq 2 ]; }
    wait_for 60 up_again "$1" || { guest_log "$1"; fail "$1 does not come up again"; }
}

# It runs a part of the conformance suite for each word that is typed.
tester='echo "guest: up"
while read -r word; do
    vgpu-conformance 0000:00:18.0 registers >/tmp/log || { cat /tmp/log; echo "guest: WRONG"; }
    echo "guest: heard $word"
done'

# heard WORD: waits until that guest has run it, and nothing was wrong.
heard() {
    wait_guest g1 "guest: heard $1"
    says g1 WRONG && { guest_log g1; fail "the guest read something wrong"; }
}

# It obeys lines that are typed, and xl shutdown.
obedient='printf "#!/bin/sh\nbusybox poweroff -f\n" >/sbin/poweroff && chmod +x /sbin/poweroff
echo "guest: up"
while read -r line; do eval "$line"; echo "guest: done $?"; done'
