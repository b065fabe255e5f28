# No processor, a log that is stuck, a program that is gone: with a guest, the emulator goes on.
guest_script g1 <<X
$tester
X
guest_config g1 >/run/bed/g1.cfg
xl create -p /run/bed/g1.cfg || fail "xl create failed"
domain=$(xl domid g1)

mkfifo /tmp/out

# The log: a pipe that is full, and that nobody reads.
mkfifo /tmp/log
exec 9<>/tmp/log
dd if=/dev/zero of=/tmp/log bs=4096 count=16 2>/dev/null
vgpu-stub xen --detached --domid "$domain" --control /run/control >/tmp/out 2>/tmp/log 9>&- &
read -r line </tmp/out || fail "it does not start"
echo "$line" | grep -q ready || fail "it said: $line"
xl unpause g1
wait_guest g1 'guest: up'
kill -9 "$(serving)"
tell_guest g1 one
heard one

# No processor: the guest waits as long as it takes, and nobody takes the process for dead.
stopped=$(serving)
kill -STOP "$stopped"
tell_guest g1 two
sleep 3
says g1 'heard two' && fail "a process that stands still answers"
kill -CONT "$stopped"
heard two
[ "$(serving)" = "$stopped" ] || fail "another process answers"

# The program is gone, as an upgrade may have it, and the process that runs it dies.
program=/usr/lib/vgpu-stub/vgpu-emulator
cp $program /tmp/vgpu-emulator
rm $program
kill -9 "$(serving)"
tell_guest g1 three
heard three
mv /tmp/vgpu-emulator $program

# The log is read again: nothing is lost of it.
cat <&9 >/tmp/drained &
drained() { [ "$(grep -c 'starting another' /tmp/drained)" -eq 2 ]; }
wait_for 5 drained || { tr -d '\0' </tmp/drained; fail "the log lacks lines"; }

# What the process needs is not there for a moment.
kept=/run/vgpu-stub/xen-$domain/kept
mv "$kept" "$kept.away"
kill -9 "$(serving)"
sleep 0.7
mv "$kept.away" "$kept"
tell_guest g1 four
heard four
[ -n "$(supervisor)" ] || fail "the supervisor has given up"
vgpu-stub ctl --control /run/control info || fail "no control socket where it was asked for"
destroy g1
[ ! -e /run/control ] || fail "the control socket is left"
