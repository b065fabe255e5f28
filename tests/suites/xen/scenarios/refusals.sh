# What cannot be is refused at once, and the log's last line is the cause.
guest_script g0 </dev/null
guest_config g0 1 "$(device_model)" >/run/bed/g0.cfg
xl create -p /run/bed/g0.cfg || fail "xl create failed"

# refused NAME CAUSE: the domain NAME cannot be created, for this reason, and fast.
refused() {
    began=$(cut -d. -f1 /proc/uptime)
    xl create "/run/bed/$1.cfg" && fail "$1 was created"
    took=$(($(cut -d. -f1 /proc/uptime) - began))
    last=$(tail -n 1 "/var/log/xen/qemu-dm-$1.log")
    echo "$1 failed after $took s: $last"
    # libxl would wait for 60 s; the rest of this is the domain's own making, on a slow machine.
    [ $took -le 20 ] || fail "$1 took $took s"
    echo "$last" | grep -q "$2" || fail "the last line is not the cause"
    gone "$1" || fail "$1 is left"
}

guest_script bad </dev/null
guest_config bad 1 "$(device_model vgpu-stub,bar0-size=3K)" >/run/bed/bad.cfg
refused bad 'power of two from 4096'
guest_script bad2 </dev/null
guest_config bad2 1 "$(device_model vgpu-stub,addr=0x18 vgpu-stub,addr=18)" >/run/bed/bad2.cfg
refused bad2 'two devices have slot 0x18'

# The device model's own part of it.
began=$(date +%s)
/usr/lib/vgpu-stub/vgpu-stub-device-model -xen-domid 999 -device vgpu-stub 2>/tmp/said && fail "it started for nobody"
[ $(($(date +%s) - began)) -le 2 ] || fail "the refusal took more than 2 s"
tail -n 1 /tmp/said | grep -q 'error: there is no domain 999' || { cat /tmp/said; fail "the last line is not the cause"; }

# By hand: a domain that is none, and one that has an emulator.
vgpu-stub xen --domid 999 2>/tmp/said && fail "it emulates for nobody"
grep -q 'there is no domain 999' /tmp/said || { cat /tmp/said; fail "no cause"; }
vgpu-stub xen --domid "$(xl domid g0)" 2>/tmp/said && fail "two emulators for one domain"
grep -q 'has an emulator of this device already' /tmp/said || { cat /tmp/said; fail "no cause"; }
[ "$(emulators)" -eq 2 ] || fail "the first one has suffered"
destroy g0
