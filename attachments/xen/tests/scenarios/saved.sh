# A domain with the device may be saved. It comes back without the device, or not at all: the registers are not saved.
start_guest g0 1 "$(device_model)" 'memory = 160' <<'X'
echo "guest: up"
while read -r word; do
    echo "guest: $word $(setpci -s 18 0.l 2>&1)"
done
X
wait_guest g0 'guest: up'
xl save g0 /tmp/saved || fail "xl save failed"
gone g0 || fail "it is still there"
nothing_left

xl restore /tmp/saved && fail "it was restored with the device"
tail -n 1 /var/log/xen/qemu-dm-g0.log
tail -n 1 /var/log/xen/qemu-dm-g0.log | grep -q 'error: .*cannot be restored or migrated' || fail "no cause"
nothing_left

# Nothing is lost: without the lines of the device in its configuration, the domain comes back.
guest_config g0 1 'memory = 160' >/run/bed/without.cfg
xl restore /run/bed/without.cfg /tmp/saved || fail "it was not restored without the device"
tell_guest g0 again
wait_guest g0 'guest: again ffffffff'
xl destroy g0
wait_gone g0
