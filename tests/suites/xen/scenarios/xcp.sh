# XCP-ng's way: the build shim is called as xenopsd calls it, for a domain that exists and is not built yet.
. /host/xenopsd.sh

guest_script g1 <<'X'
vgpu-stub check --read-only || exit 1
lspci -n -s 1a | grep 1af4:1111 || exit 1
echo "guest: up"
while read -r word; do
    vgpu-stub check >/tmp/check && echo "guest: $word well" || { cat /tmp/check; exit 1; }
done
X
make g1
uuid=$(xenstore-read "/local/domain/$domain/vm")
uuid=${uuid#/vm/}

printf '[%s]\ndevice = slot=0x18\ndevice = slot=0x1a,bar0-size=64K\n' "$uuid" >/etc/vgpu-stub/xcp.conf

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
/host/linux-4-19 vgpu-stub xcp vm-post-destroy -- -vmuuid "$uuid" -reason hard-shutdown || fail "the hook failed"
[ -e "/run/vgpu-stub/xen-$domain.options" ] || fail "the hook forgot a domain that is there"

release
wait $xl || fail "xl create failed"
xl unpause g1
wait_guest g1 'guest: up|script ended'
says g1 'guest: up' || { guest_log g1; fail "the guest finds no device"; }

# An upgrade: the programs are replaced, the emulator goes on, and is started again where it dies.
for program in /usr/bin/vgpu-stub /usr/lib/vgpu-stub/vgpu-emulator; do
    cp $program $program.new
    mv $program.new $program
done
kill -9 "$(serving)"
tell_guest g1 still
wait_guest g1 'guest: still well|script ended'
says g1 'still well' || { guest_log g1; cat /run/units/*/log; fail "the device is gone after an upgrade"; }
[ "$(emulators)" -eq 2 ] || fail "there are not two processes"

# All of it is killed: systemd cleans up, and the VM goes on without the device.
kill -9 $(supervisor) $(serving)
ended() { ls /run/units/*/ended >/dev/null 2>&1; }
wait_for 10 ended || fail "systemd does not hear of it"
nothing_left
tell_guest g1 killed
wait_guest g1 'script ended'
wait_gone g1
