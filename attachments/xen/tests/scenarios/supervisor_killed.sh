# kill -9 of the supervisor: the guest is answered on, and no process outlives the domain.
kill -9 "$(supervisor)"
in_guest g1 'vgpu-stub check --read-only'
xl destroy g1
wait_gone g1
wait_for 10 no_emulators || { ps -o pid,args; fail "the process that answered is left"; }
