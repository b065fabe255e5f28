# kill -9 of the supervisor: the guest is answered on, and no process outlives the domain.
start_guest g1 1 "$(device_model)" <<'X'
echo "guest: up"
read -r word
vgpu-stub check --read-only || exit 1
echo "guest: all is well"
read -r word
X
wait_guest g1 'guest: up'
kill -9 "$(supervisor)"
tell_guest g1 go
wait_guest g1 'guest: all is well|script ended'
says g1 'guest: all is well' || { guest_log g1; fail "the guest does not find its device"; }
xl destroy g1
wait_gone g1
wait_for 10 no_emulators || { ps -o pid,args; fail "the process that answered is left"; }
