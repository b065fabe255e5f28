# The doctor, and a domain that was started without the device's lines: the mend starts it anew.
found g1 configured
mend g1
wait_up_again g1
well g1
in_guest g1 'vgpu-stub doctor --guest'
destroy g1
