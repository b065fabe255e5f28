# XCP-ng's way: the build shim is called as xenopsd calls it, for a domain that exists and is not built yet.
# xl stands in for xenopsd; it is held where it opens the firmware, which it does after making the domain.
hvmloader=$(find /usr/lib -name hvmloader -type f | head -n 1)
mkdir -p /usr/lib/systemd/system /usr/lib/xapi/alternatives/xenguest /usr/libexec/xen/bin /etc/vgpu-stub
cp "/host/vgpu-stub-xen@.service" /usr/lib/systemd/system/
ln -s /usr/bin/vgpu-stub /usr/lib/xapi/alternatives/xenguest/vgpu-stub
install -m 755 /host/systemctl /usr/bin/systemctl
cat >/usr/libexec/xen/bin/xenguest <<'X'
#!/bin/sh
# Says what a builder says, and what it was called with.
echo "$*" >/tmp/xenguest
read -r word <&9 && echo "heard $word" >>/tmp/xenguest
echo "result:1044 1045" >&7
X
chmod 755 /usr/libexec/xen/bin/xenguest
mkfifo /tmp/out /tmp/in
# Open for both, so that neither end waits.
exec 7<>/tmp/out 9<>/tmp/in

# hold: whoever opens the firmware waits.
hold() {
    mkfifo /tmp/hold
    /host/hold-open "$hvmloader" </tmp/hold >/tmp/held &
    exec 5>/tmp/hold
    wait_for 5 grep -q held /tmp/held || fail "the firmware cannot be held"
}
release() {
    exec 5>&-
    rm /tmp/hold
}

# make NAME: a domain that is made and not built.
make() {
    guest_config "$1" 1 >"/run/bed/$1.cfg"
    hold
    xl create -p "/run/bed/$1.cfg" 5>&- 7>&- 9>&- &
    xl=$!
    wait_for 20 grep -q 'LEASE *BREAKING' /proc/locks || fail "xl does not get to the firmware"
    domain=$(xl list | awk -v name="$1" '$1 == name || $1 == "(null)" { print $2 }')
    [ -n "$domain" ] || { xl list; fail "there is no domain"; }
    xenstore-exists "/local/domain/$domain/store/ring-ref" && fail "the domain is built already"
}

# shim: calls it as xenopsd does.
shim() {
    arguments="-controloutfd 7 -controlinfd 9 -mode hvm_build -image $hvmloader -domid $domain -store_port 1 \
-store_domid 0 -console_port 2 -console_domid 0 -mem_max_mib 384 -mem_start_mib 384"
    /usr/lib/xapi/alternatives/xenguest/vgpu-stub $arguments 5>&-
}

# refused CAUSE: the shim says so in xenopsd's form, and starts nothing.
refused() {
    shim && fail "the shim did not fail"
    read -r -t 5 said <&7 || fail "the shim says nothing to xenopsd"
    echo "$said"
    echo "$said" | grep -q "^error:hvm_build 1 vgpu-stub: .*$1" || fail "that is not the cause"
    no_emulators || fail "an emulator runs"
    [ -z "$(ls /run/vgpu-stub 2>/dev/null)" ] || fail "files are left: $(ls /run/vgpu-stub)"
}

guest_script g1 <<'X'
vgpu-stub check || exit 1
lspci -n -s 1a | grep 1af4:1111 || exit 1
echo "guest: up"
while read -r word; do
    vgpu-stub check >/tmp/check && echo "guest: $word well" || { cat /tmp/check; exit 1; }
done
X
make g1
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

# The emulator answers before the builder begins.
echo hello >&9
shim || fail "the shim failed: $(timeout 1 cat /tmp/out)"
read -r -t 5 said <&7
[ "$said" = "result:1044 1045" ] || fail "xenopsd would hear: $said"
[ "$(cat /tmp/xenguest)" = "$arguments
heard hello" ] || { cat /tmp/xenguest; fail "the builder was called otherwise"; }
[ "$(emulators)" -eq 2 ] || { cat /run/units/*/log; fail "there is no emulator"; }
for pid in $(ps -o pid,args | awk '/[v]gpu-stub xen/ { print $1 }'); do
    ls -l "/proc/$pid/fd" | grep -E '/tmp/(out|in)' && fail "an emulator has xenopsd's descriptors"
done
cat "/run/vgpu-stub/xen-$domain.options"
vgpu-stub xcp vm-post-destroy -- -vmuuid "$uuid" -reason hard-shutdown || fail "the hook failed"
[ -e "/run/vgpu-stub/xen-$domain.options" ] || fail "the hook forgot a domain that is there"

release
wait $xl || fail "xl create failed"
xl unpause g1
wait_guest g1 'guest: up|script ended'
says g1 'guest: up' || { guest_log g1; fail "the guest finds no device"; }

# An upgrade: the program is replaced, the emulator goes on, and is started again where it dies.
cp /usr/bin/vgpu-stub /usr/bin/vgpu-stub.new
mv /usr/bin/vgpu-stub.new /usr/bin/vgpu-stub
kill -9 "$(serving)"
tell_guest g1 still
wait_guest g1 'guest: still well|script ended'
says g1 'still well' || { guest_log g1; cat /run/units/*/log; fail "the device is gone after an upgrade"; }
[ "$(emulators)" -eq 2 ] || fail "there are not two processes"
xl destroy g1
wait_gone g1
nothing_left

# A build that fails: the domain goes without ever having been introduced.
guest_script g2 </dev/null
make g2
echo hello >&9
shim || fail "the shim failed: $(timeout 1 cat /tmp/out)"
read -r -t 5 said <&7
[ "$(emulators)" -eq 2 ] || fail "there is no emulator"
kill -9 $xl
release
xl destroy "$domain"
nothing_left

# A builder that is not there ends what was started for it.
make g2
mv /usr/libexec/xen/bin/xenguest /usr/libexec/xen/bin/gone
shim && fail "the shim did not fail"
read -r -t 5 said <&7
echo "$said"
echo "$said" | grep -q '^error:hvm_build 1 vgpu-stub: cannot run /usr/libexec/xen/bin/xenguest' || fail "no cause"
nothing_left
kill -9 $xl
release
xl destroy "$domain"
