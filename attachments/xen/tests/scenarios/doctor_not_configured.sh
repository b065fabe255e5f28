# The doctor, and a domain that was started without the device's lines: the mend starts it anew.
start_guest g1 <<X
$obedient
X
wait_guest g1 'guest: up'
found g1 configured
mend g1
wait_up_again g1
well g1
xl destroy g1
wait_gone g1
nothing_left
