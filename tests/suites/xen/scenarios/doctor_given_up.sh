# The doctor, and an emulator that was given up. The log says so, also after the mend.
kill_until_given_up
found g1 process
mend g1
found g1 log
mend g1 | grep 'again and again' || fail "the mend does not show the complaint"
in_guest g1 'vgpu-stub doctor --guest'
destroy g1
