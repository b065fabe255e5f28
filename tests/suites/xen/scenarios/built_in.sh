# The device in QEMU itself, which xl starts in place of its own: the guide's option A.
start_guest g1 1 'device_model_version = "qemu-xen"' 'device_model_override = "/host/qemu"' \
    'device_model_args = [ "-device", "vgpu-stub" ]' <<'X'
lspci -d 1af4:1111 -nnvvv
vgpu-stub check || exit 1
vgpu-conformance "$(lspci -D -d 1af4:1111 | cut -d ' ' -f 1)" registers || exit 1
echo "guest: all is well"
X
ps -o args | grep '[-]device vgpu-stub'
expect "the guide's ps finds no -device vgpu-stub" sh -c 'ps -o args | grep -q "[-]device vgpu-stub"'
wait_guest g1 'guest: all is well|script ended'
guest_log g1
says g1 'guest: all is well' || fail "the guest found a fault"
[ "$(emulators)" -eq 0 ] || fail "an emulator runs beside it"
grep -i -e vgpu -e error /var/log/xen/qemu-dm-g1.log && fail "QEMU complains"
wait_gone g1
