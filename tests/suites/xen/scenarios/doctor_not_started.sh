# The doctor, and a domain that does not run.
guest_script g1 <<X
$obedient
X
guest_config g1 1 "$(device_model)" >/run/bed/g1.cfg
found g1 process
mend g1
wait_guest g1 'guest: up'
well g1
destroy g1
