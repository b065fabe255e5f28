# What the scenarios of this folder share, before each of them.
. /bed/lib.sh

cp /host/vgpu-stub /usr/bin/vgpu-stub && chmod 755 /usr/bin/vgpu-stub
mkdir -p /usr/lib/vgpu-stub
ln -s /usr/bin/vgpu-stub /usr/lib/vgpu-stub/vgpu-stub-device-model

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
    ps -o pid,args | awk '/vgpu-stub xen --detached/ && !/awk/ { print $1 }'
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

# proportional_kib PID... prints the proportional set size of the processes together.
proportional_kib() {
    for _pid in "$@"; do
        awk '/^Pss:/ { print $2 }' "/proc/$_pid/smaps_rollup"
    done | awk '{ sum += $1 } END { print sum }'
}
