# xenstored is slow, and then dies and is started again, with nothing of what it knew: the guest is answered all the
# while, also by a process that has to be started meanwhile, and no emulator outlives its domain.
tell_guest g1 'while vgpu-conformance 0000:00:18.0 registers >/tmp/log; do echo "guest: round"; done; cat /tmp/log; echo "guest: WRONG"'
rounds() { guest_log g1 | grep -c 'guest: round'; }
more_rounds() { [ "$(rounds)" -gt "$before" ]; }
# answered WHEN: the process that answers the guest dies, and another goes on.
answered() {
    kill -9 "$(serving)"
    before=$(($(rounds) + 1)) # The first may have been done before.
    wait_for 20 more_rounds || { guest_log g1 | tail -n 5; fail "$1: no other process answers"; }
    says g1 WRONG && { guest_log g1 | tail -n 20; fail "$1: the guest read something wrong"; }
    echo "$1: the guest is answered"
}

wait_guest g1 'guest: round'
domain=$(xl domid g1)
xenstored=$(pidof xenstored)
kill -STOP "$xenstored"
answered "xenstored stands still"
kill -CONT "$xenstored"
xenstore-exists "/local/domain/$domain/device/vgpu/0" || fail "the keys are gone"

kill -9 "$xenstored"
answered "without xenstored"
rm -f /run/xenstored.pid
xenstored --pid-file /run/xenstored.pid || fail "xenstored does not start again"
answered "with another xenstored"
[ -n "$(supervisor)" ] || fail "the supervisor has ended before the domain"
grep vgpu-stub: /var/log/xen/qemu-dm-g1.log
lines=$(grep -c 'vgpu-stub: xenstore' /var/log/xen/qemu-dm-g1.log)
[ "$lines" -eq 1 ] || fail "xenstore's end takes $lines lines of the log"

xl destroy "$domain" # It complains about xenstore.
wait_for 15 no_emulators || { ps -o pid,args; fail "emulators outlive the domain"; }
[ -z "$(ls /run/vgpu-stub 2>/dev/null)" ] || fail "files are left: $(ls -R /run/vgpu-stub)"
