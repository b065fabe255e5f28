# XCP-ng's way, where the domain is not built in the end: what may not be is refused, and what was started for it ends.
. /host/xenopsd.sh

guest_script g2 </dev/null
make g2
uuid=$(xenstore-read "/local/domain/$domain/vm")
uuid=${uuid#/vm/}

# What root has not written is refused, and so is what it does not allow.
echo "max-devices = 1" >/etc/vgpu-stub/xcp.conf
chmod 666 /etc/vgpu-stub/xcp.conf
refused 'may not be trusted'
chmod 644 /etc/vgpu-stub/xcp.conf
printf 'max-devices = 1\n[%s]\ndevice = slot=0x18\ndevice = slot=0x1a,bar0-size=64K\n' "$uuid" >/etc/vgpu-stub/xcp.conf
refused "may have 1 devices, has 0, and VM $uuid wants 2"
sed -i s/=.1/=2/ /etc/vgpu-stub/xcp.conf
mv /usr/bin/systemctl /usr/bin/no-systemctl
refused 'cannot run systemctl'
mv /usr/bin/no-systemctl /usr/bin/systemctl

# The builder fails: the domain goes without ever having been introduced.
echo hello >&9
shim || fail "the shim failed: $(timeout 1 cat /tmp/out)"
read -r -t 5 said <&7
[ "$(emulators)" -eq 2 ] || fail "there is no emulator"
kill -9 $xl
release
xl destroy "$domain"
unit_ended
nothing_left

# A builder that is not there ends what was started for it.
make g2
mv /usr/libexec/xen/bin/xenguest /usr/libexec/xen/bin/gone
shim && fail "the shim did not fail"
read -r -t 5 said <&7
echo "$said"
echo "$said" | grep -q '^error:hvm_build 1 vgpu-stub: cannot run /usr/libexec/xen/bin/xenguest' || fail "no cause"
unit_ended
nothing_left
kill -9 $xl
release
xl destroy "$domain"
