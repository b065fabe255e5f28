# A hostile guest, which attacks one of two devices from all vCPUs: both answer as before, and dom0 pays little for it.
ATTACK=${ATTACK:-3} # seconds

start_guest g1 "${VCPUS:-1}" "$(device_model vgpu-stub vgpu-stub)" <<X
echo "guest: up"
read -r word
vgpu-hostile 0000:00:18.0 --seconds $ATTACK || exit 1
# It takes the device off the bus and finds it again, too.
vgpu-stub check --address 00:18.0 >/tmp/check || { cat /tmp/check; exit 1; }
vgpu-stub check --address 00:19.0 --read-only >/tmp/check || { cat /tmp/check; exit 1; }
echo "guest: all is well"
read -r word
X
# own_kib PID prints what a process has in memory that is in no file.
own_kib() { awk '/^RssAnon:/ { print $2 }' "/proc/$1/status"; }

wait_guest g1 'guest: up|script ended'
serving=$(serving)
supervisor=$(supervisor)
before="$(own_kib "$serving") and $(own_kib "$supervisor")"
tell_guest g1 go
wait_guest g1 'guest: all is well|script ended' $((60 + 2 * ATTACK))
guest_log g1
says g1 'guest: all is well' || fail "the device is not as it was"
[ "$(serving)" = "$serving" ] || fail "the process that answers has died"
after="$(own_kib "$serving") and $(own_kib "$supervisor")"
echo "own memory of the processes: $before KiB, then $after KiB"
[ $((${after% and *} - ${before% and *})) -le 64 ] || fail "the process that answers grows"
[ $((${after#* and } - ${before#* and })) -le 64 ] || fail "the supervisor grows"

ticks() { awk '{ print $14 + $15 }' "/proc/$serving/stat"; }
used=$(ticks)
sleep 1
[ "$(ticks)" -eq "$used" ] || fail "an idle emulator uses the processor"
bytes=$(wc -c </var/log/xen/qemu-dm-g1.log)
echo "log: $bytes bytes"
[ "$bytes" -lt 16384 ] || { head -n 20 /var/log/xen/qemu-dm-g1.log; fail "the log grows too much"; }
xl dmesg | tail -n 5
xl destroy g1
wait_gone g1
nothing_left
