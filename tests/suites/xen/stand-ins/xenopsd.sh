# What xenopsd does around the building of a domain, in dom0 of the bed.
# xl stands in for it: it is held where it opens the firmware, which it does after making the domain.
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
    /host/linux-4-19 /usr/lib/xapi/alternatives/xenguest/vgpu-stub $arguments 5>&-
}

# unit_ended: the domain's unit has done what follows its process, ExecStopPost.
unit_ended() {
    wait_for 5 test -e "/run/units/vgpu-stub-xen@$domain.service/ended" || fail "the unit does not end"
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
