# kill -9 of the supervisor: the guest is answered on, by that process alone, which leaves no vCPU waiting when it is told to
# end, and does not outlive the domain.
domain=$(xl domid g1)
kill -9 "$(supervisor)"
in_guest g1 'vgpu-stub check --read-only'
vgpu-stub xen --domid "$domain" 2>/tmp/said && fail "a second emulator runs beside it"
grep -q '^error: .*emulator' /tmp/said || { cat /tmp/said; fail "it was refused otherwise"; }

# While the guest asks without a pause.
tell_guest g1 'for pass in $(seq 100); do setpci -s 18 0.l; done | sort | uniq -c'
sleep 1
kill "$(serving)"
wait_for 10 no_emulators || { ps -o pid,args; fail "it did not end"; }
answered() { says g1 '[0-9] ffffffff'; }
wait_for 30 answered || { guest_log g1; fail "a vCPU waits for nobody"; }
guest_log g1 | tail -n 3
guest_log g1 | grep -q '[0-9] 11111af4' || fail "the guest was not answered before"

vgpu-stub xen --detached --domid "$domain" >/tmp/ready 2>/tmp/log &
ready() { grep -q ready /tmp/ready; }
wait_for 10 ready || { cat /tmp/log; fail "another emulator does not start"; }
in_guest g1 'setpci -s 18 0.l | grep 11111af4'
kill -9 "$(supervisor)"
xl destroy g1
wait_gone g1
wait_for 10 no_emulators || { ps -o pid,args; fail "the process that answered is left"; }
