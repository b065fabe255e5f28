# Nine devices in one VM, on one ioreq server: 6 of Xen's 8 are free, beside QEMU's.
domain=$(xl domid g1)
free=0
while /host/ioreq-server "$domain"; do
    free=$((free + 1))
    [ $free -le 8 ] || fail "there is no limit"
done
echo "$free ioreq servers were free"
[ $free -eq 6 ] || fail "not 6 ioreq servers were free"
in_guest g1 'lspci -n | grep 1200'
[ "$(guest_log g1 | grep -cE ' 1200: 1af4:111[12]')" -eq 9 ] || fail "there are not nine devices"
in_guest g1 'vgpu-stub check --read-only >/tmp/log; status=$?; cat /tmp/log; [ $status -eq 0 ]'
[ "$(guest_log g1 | grep -c '^vGPU at')" -eq 8 ] || fail "eight of them were not checked"
in_guest g1 'vgpu-stub check --read-only --device-id 1112'
in_guest g1 'lspci -s 10 -v | grep size=64K'
guest_log g1
destroy g1
