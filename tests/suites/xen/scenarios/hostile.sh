# A hostile guest, which attacks a device from all vCPUs, once for each of $ATTACKS: it answers as before, so does one beside
# it at $NEIGHBOUR, and dom0 pays little for it.

# own_kib PID prints what a process has in memory that is in no file.
own_kib() { awk '/^RssAnon:/ { print $2 }' "/proc/$1/status"; }

serving=$(serving)
supervisor=$(supervisor)
before="$(own_kib "$serving") and $(own_kib "$supervisor")"
for attack in $ATTACKS; do
    in_guest g1 'vgpu-hostile 0000:00:18.0 --seconds 3'
    # It takes the device off the bus and finds it again, too.
    for address in 00:18.0 $NEIGHBOUR; do
        in_guest g1 "vgpu-stub check --address $address"
    done
done
guest_log g1
[ "$(serving)" = "$serving" ] || fail "the process that answers has died"
after="$(own_kib "$serving") and $(own_kib "$supervisor")"
echo "own memory of the processes: $before KiB, then $after KiB"
[ $((${after% and *} - ${before% and *})) -le 64 ] || fail "the process that answers grows"
[ $((${after#* and } - ${before#* and })) -le 64 ] || fail "the supervisor grows"

ticks() { awk '{ print $14 + $15 }' "/proc/$serving/stat"; }
used=$(ticks)
sleep 2
[ "$(ticks)" -eq "$used" ] || fail "an idle emulator uses the processor"
bytes=$(wc -c </var/log/xen/qemu-dm-g1.log)
echo "log: $bytes bytes"
[ "$bytes" -lt 16384 ] || { head -n 20 /var/log/xen/qemu-dm-g1.log; fail "the log grows too much"; }
xl dmesg | tail -n 5
destroy g1
