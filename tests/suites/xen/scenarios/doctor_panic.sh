# The doctor, and a guest whose kernel panics: the mend starts it anew.
tell_guest g1 'echo c >/proc/sysrq-trigger'
wait_for 20 says g1 'Kernel panic' || { guest_log g1; fail "no panic"; }
found g1 guest-kernel
mend g1
wait_up_again g1
well g1
destroy g1
