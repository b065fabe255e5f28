# XCP-ng's way, where the domain is not built in the end: what was started for it ends.
. /host/xenopsd.sh

# The builder fails: the domain goes without ever having been introduced.
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
