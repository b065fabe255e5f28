# The other ways of the guide: the device on xl's command line, and in QEMU's own help.
guest_script g1 </dev/null
guest_config g1 1 >/run/bed/g1.cfg
xl create /run/bed/g1.cfg 'device_model_version="qemu-xen"' \
    'device_model_override="/usr/lib/vgpu-stub/vgpu-stub-device-model"' \
    'device_model_args=["-device","vgpu-stub"]' || fail "not by xl's command line"
[ "$(emulators)" -eq 2 ] || fail "no emulator"
destroy g1
/usr/lib/vgpu-stub/vgpu-stub-device-model -device help | grep 'name "vgpu-stub", bus PCI' || fail "not in -device help"
