# The doctor in dom0: a domain that is well, then faults in it. Each is named alone, and what is typed mends it.
well g1
cat /tmp/doctor
in_guest g1 'vgpu-stub doctor --guest'
vgpu-stub doctor --domid "$(xl domid g1)" >/tmp/doctor || { cat /tmp/doctor; fail "not well by its number"; }

# The link is gone, without which the next start fails.
rm /usr/lib/vgpu-stub/vgpu-stub-device-model
found g1 installed
mend g1

# That the next fault is found alone shows that the last one is mended.
xl pause g1
found g1 guest-kernel
mend g1

kill -STOP "$(serving)"
found g1 process
mend g1
well g1
destroy g1
