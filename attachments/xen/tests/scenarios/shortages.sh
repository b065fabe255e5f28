# Too few descriptors, too little memory, a log that is stuck, a program that is gone: the emulator says what it lacks
# before it has a guest, and goes on with one.
guest_script g0 </dev/null
guest_config g0 >/run/bed/g0.cfg
xl create -p /run/bed/g0.cfg || fail "xl create failed"
domain=$(xl domid g0)

# starts LIMIT...: whether it starts within this limit of the shell's; if not, it says why, and leaves nothing.
starts() {
    (
        ulimit "$@" || exit 1
        exec vgpu-stub xen --domid "$domain" >/tmp/out 2>/tmp/said
    ) &
    _pid=$!
    settled() { grep -q ready /tmp/out || [ ! -d /proc/$_pid ] || [ "$(cut -d' ' -f3 /proc/$_pid/stat)" = Z ]; }
    wait_for 15 settled || fail "with $*: neither ready nor ended"
    if grep -q ready /tmp/out; then
        kill $_pid
        wait $_pid || fail "with $*: it did not end in order"
        return 0
    fi
    wait $_pid
    _status=$?
    grep -q panicked /tmp/said && { cat /tmp/said; fail "with $*: a panic"; }
    if [ $_status -eq 2 ]; then
        grep -q '^error: ' /tmp/said && grep -q '^mend: ' /tmp/said || { cat /tmp/said; fail "with $*: no cause and mend"; }
    fi
    wait_for 5 no_emulators || fail "with $*: processes are left"
    xenstore-ls /local/domain/0/backend 2>/dev/null | grep -q vgpu && fail "with $*: keys are left"
    [ -z "$(ls /run/vgpu-stub 2>/dev/null)" ] || fail "with $*: files are left"
    echo "with $*: status $_status, $(grep -m1 -E '^error|memory' /tmp/said)"
    return 1
}
few=0
for files in 4 6 8 10 12; do starts -n $files && few=$((few + 1)); done
[ $few -lt 5 ] || fail "no limit on descriptors was low enough"
for kib in 2000 4000 6000 8000; do starts -v $kib; done
starts -n 32 || { cat /tmp/said; fail "32 descriptors are not enough"; }
xl destroy g0
wait_gone g0

# The log: a pipe that is full, and that nobody reads.
guest_script g1 <<'X'
echo "guest: up"
while read -r word; do
    vgpu-conformance 0000:00:18.0 registers >/tmp/conformance || { cat /tmp/conformance; echo "guest: WRONG"; }
    echo "guest: heard $word"
done
X
guest_config g1 1 >/run/bed/g1.cfg
xl create -p /run/bed/g1.cfg || fail "xl create failed"
domain=$(xl domid g1)
mkfifo /tmp/log
exec 9<>/tmp/log
dd if=/dev/zero of=/tmp/log bs=4096 count=16 2>/dev/null
vgpu-stub xen --detached --domid "$domain" >/tmp/ready 2>/tmp/log 9>&- &
ready() { grep -q ready /tmp/ready; }
wait_for 10 ready || fail "it waits for its log"
xl unpause g1
wait_guest g1 'guest: up'
heard() {
    tell_guest g1 "$1"
    wait_guest g1 "guest: heard $1"
    says g1 WRONG && { guest_log g1; fail "the guest read something wrong"; }
}
heard one
kill -9 "$(serving)"
heard two

# The program is replaced, as by an upgrade, and the process that runs the old one dies.
cp /usr/bin/vgpu-stub /tmp/vgpu-stub
rm /usr/bin/vgpu-stub
kill -9 "$(serving)"
heard three
mv /tmp/vgpu-stub /usr/bin/vgpu-stub

# What the process needs is not there for a second.
kept=/run/vgpu-stub/xen-$domain/kept
mv $kept $kept.away
kill -9 "$(serving)"
sleep 1.2
mv $kept.away $kept
heard four
[ -n "$(supervisor)" ] || fail "the supervisor has given up"
xl destroy g1
wait_gone g1
nothing_left
