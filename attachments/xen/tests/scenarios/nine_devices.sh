# Nine devices in one VM, on one ioreq server: 6 of Xen's 8 are free, beside QEMU's.
start_guest g1 1 "$(device_model vgpu-stub vgpu-stub vgpu-stub,addr=0x10,bar0-size=64K vgpu-stub \
    vgpu-stub vgpu-stub vgpu-stub,revision=7 vgpu-stub,addr=11,device-id=0x1112 vgpu-stub)" <<'X'
lspci -n | grep 1200
for one in '--address 00:10.0' '--address 00:1e.0' '--device-id 1112'; do
    vgpu-stub check --read-only $one >/tmp/check || { cat /tmp/check; exit 1; }
done
lspci -s 10 -v | grep size=64K || exit 1
echo "guest: all is well"
X
domain=$(xl domid g1)
free=0
while /host/ioreq-server "$domain"; do
    free=$((free + 1))
    [ $free -le 8 ] || fail "there is no limit"
done
echo "$free ioreq servers were free"
[ $free -eq 6 ] || fail "not 6 ioreq servers were free"
wait_guest g1 'guest: all is well|script ended'
guest_log g1
guest_log g1 | grep -q 'guest: all is well' || fail "the guest found a fault"
[ "$(guest_log g1 | grep -cE ' 1200: 1af4:111[12]')" -eq 9 ] || fail "there are not nine devices"
wait_gone g1
nothing_left
