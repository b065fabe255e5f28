# A domain that is rebooted: its next one has an emulator of its own, and nothing of the first is left.
first=$(xl domid g1)
before=$(serving)
xl reboot g1 || fail "xl reboot failed"
rebooted() { now=$(xl domid g1 2>/dev/null) && [ "$now" != "$first" ] && [ -n "$(serving)" ]; }
wait_for 40 rebooted || { guest_log g1; xl list; tail -n 5 /var/log/xen/xl-g1.log; fail "it was not started again"; }
[ "$(serving)" != "$before" ] || fail "the old emulator still runs"
[ "$(emulators)" -eq 2 ] || fail "emulators are left from before the reboot"
wait_up_again g1
in_guest g1 'vgpu-stub check --read-only'
destroy g1
