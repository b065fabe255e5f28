# A guest that xl starts by the user's own line: the seven criteria, xenstore, the processes.
start_guest g1 1 "$(device_model)" <<'X'
lspci -d 1af4:1111 -nnvvv
vgpu-stub check || exit 1
dmesg | grep -i vgpu
echo "guest: all is well"
read -r word
X
domain=$(xl domid g1)
ps -o pid,user,args | grep '[v]gpu-stub xen'
expect "the guide's ps finds no -device vgpu-stub" sh -c 'ps -o args | grep -q "[-]device vgpu-stub"'
uid=$(awk '/^Uid:/ { print $2 }' "/proc/$(serving)/status")
[ "$uid" -eq $((2013265920 + domain)) ] || fail "the serving process runs as $uid"
grep -qE '^Seccomp:[[:space:]]2' "/proc/$(serving)/status" || fail "it has no seccomp filter"
grep -qE '^NoNewPrivs:[[:space:]]1' "/proc/$(serving)/status" || fail "it may gain privileges"
for thread in /proc/$(serving)/task/*; do
    grep -qE '^Seccomp:[[:space:]]2' "$thread/status" || fail "a thread has no seccomp filter"
done

expected="0 = \"\" (n$domain,r0)
 backend = \"/local/domain/0/backend/vgpu/$domain/0\" (n$domain,r0)
 backend-id = \"0\" (n$domain,r0)
 state = \"1\" (n$domain,r0)"
found=$(xenstore-ls -p "/local/domain/$domain/device/vgpu" | sed -E 's/"[ .]*\(/" (/')
[ "$found" = "$expected" ] || fail "xenstore has for the guest: $found"
found=$(xenstore-ls -p "/local/domain/0/backend/vgpu/$domain/0" | sed -E 's/"[ .]*\(/" (/')
expected="frontend = \"/local/domain/$domain/device/vgpu/0\" (n0,r$domain)
frontend-id = \"$domain\" (n0,r$domain)
online = \"1\" (n0,r$domain)
state = \"2\" (n0,r$domain)"
[ "$found" = "$expected" ] || fail "xenstore has for dom0: $found"

wait_guest g1 'guest: all is well|script ended'
guest_log g1
guest_log g1 | grep -q 'guest: all is well' || fail "the guest found a fault"
kib=$(proportional_kib $(ps -o pid,args | awk '/[v]gpu-stub xen/ { print $1 }'))
echo "proportional set size of both processes: $kib KiB"
[ "$kib" -lt 4096 ] || fail "they hold 4 MiB or more"

# Idle: no tick of the clock in two seconds.
ticks() { awk '{ print $14 + $15 }' "/proc/$(serving)/stat"; }
before=$(ticks)
sleep 2
[ "$(ticks)" -eq "$before" ] || fail "an idle emulator uses the processor"

destroy g1
