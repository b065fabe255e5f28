# The doctor, and domains that do not run, are not configured, or have crashed.
guest_script g1 <<X
$obedient
X
guest_config g1 1 "$(device_model)" >/run/bed/g1.cfg
found g1 process
mend g1
wait_guest g1 'guest: up'
well g1
xl destroy g1
wait_gone g1
nothing_left

# Started without the lines.
start_guest g2 1 'memory = 256' <<X
$obedient
X
wait_guest g2 'guest: up'
found g2 configured
mend g2
wait_guest g2 'guest: up'
well g2
in_guest g2 'vgpu-stub doctor --guest'
xl destroy g2
wait_gone g2
nothing_left

# A kernel that panics.
start_guest g3 1 "$(device_model)" 'memory = 256' 'on_crash = "preserve"' \
    "cmdline = \"$guest_arguments xen_legacy_crash\"" <<X
$obedient
X
wait_guest g3 'guest: up'
well g3
tell_guest g3 'echo c >/proc/sysrq-trigger'
wait_for 20 says g3 'Kernel panic' || { guest_log g3; fail "no panic"; }
found g3 guest-kernel
mend g3
# The second one, in the same file.
up_again() { [ "$(guest_log g3 | grep -c 'guest: up')" -eq 2 ]; }
wait_for 60 up_again || { guest_log g3; fail "no second start"; }
well g3
xl destroy g3
wait_gone g3
nothing_left
