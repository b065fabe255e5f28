# A process that cannot have its sandbox answers no guest, also one that asks while it starts.
domain=$(xl domid g1)
asks='setpci -H1 -s 18 0.l 2>/dev/null'
tell_guest g1 "while [ ! -e /tmp/stop ]; do $asks; done >/tmp/read & echo 'guest: asking'"
wait_guest g1 'guest: asking'
for start in 1 2 3; do
    /host/without-seccomp vgpu-stub xen --domid "$domain" >/tmp/out 2>/tmp/said && fail "it starts without a sandbox"
    grep -q '^error: .*not in its sandbox' /tmp/said || { cat /tmp/said; fail "it does not say why"; }
    nothing_left
done
head -n 2 /tmp/said
# With one it does, for the same guest.
in_guest g1 "touch /tmp/stop; wait; cat /tmp/read; [ ! -s /tmp/read ]"
vgpu-stub xen --detached --domid "$domain" >/tmp/ready 2>/tmp/log &
ready() { grep -q ready /tmp/ready; }
wait_for 10 ready || { cat /tmp/log; fail "it does not start"; }
in_guest g1 "$asks | grep 11111af4"
destroy g1
