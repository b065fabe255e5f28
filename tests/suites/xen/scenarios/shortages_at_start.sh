# Too few descriptors, too little memory: the emulator says what it lacks before it has a guest, and leaves nothing.
guest_script g1 </dev/null
guest_config g1 >/run/bed/g1.cfg
xl create -p /run/bed/g1.cfg || fail "xl create failed"
domain=$(xl domid g1)

# starts LIMIT...: whether it starts within this limit of the shell's; if not, it says why, and leaves nothing.
mkfifo /tmp/out
starts() {
    (
        # Before the limit, as the shell needs descriptors for it.
        exec >/tmp/out 2>/tmp/said
        ulimit "$@"
        exec vgpu-stub xen --domid "$domain"
    ) &
    _pid=$!
    # A line, or the end of all its processes.
    if read -r _line </tmp/out; then
        kill $_pid
        wait $_pid || fail "with $*: it did not end in order"
        return 0
    fi
    wait $_pid
    _status=$?
    echo "with $*: status $_status, $(head -n 1 /tmp/said)"
    grep -q panicked /tmp/said && { cat /tmp/said; fail "with $*: a panic"; }
    if [ $_status -eq 2 ]; then
        grep -q '^error: ' /tmp/said && grep -q '^mend: ' /tmp/said || { cat /tmp/said; fail "with $*: no cause and mend"; }
    fi
    nothing_left
    return 1
}
for files in 4 8 12; do starts -n $files && fail "$files descriptors are enough"; done
for kib in 2000 4000 6000; do starts -v $kib; done
starts -n 32 || { cat /tmp/said; fail "32 descriptors are not enough"; }
destroy g1
