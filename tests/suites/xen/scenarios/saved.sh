# A domain with the device may be saved. It comes back without the device, or not at all: the registers are not saved.
xl save g1 /tmp/saved || fail "xl save failed"
gone g1 || fail "it is still there"
nothing_left

xl restore /tmp/saved && fail "it was restored with the device"
tail -n 1 /var/log/xen/qemu-dm-g1.log
tail -n 1 /var/log/xen/qemu-dm-g1.log | grep -q 'error: .*cannot be restored or migrated' || fail "no cause"
nothing_left

# Nothing is lost: without the lines of the device in its configuration, the domain comes back.
guest_config g1 1 'memory = 192' >/run/bed/without.cfg
xl restore /run/bed/without.cfg /tmp/saved || fail "it was not restored without the device"
in_guest g1 'setpci -s 18 0.l | grep ffffffff'
destroy g1
