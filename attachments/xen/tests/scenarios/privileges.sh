# What the process that answers g1 can do to g2 and to xenstore: nothing.
for name in g1 g2; do
    guest_script $name </dev/null
    guest_config $name 1 "$(device_model)" 'memory = 128' >/run/bed/$name.cfg
    xl create -p /run/bed/$name.cfg || fail "xl create failed"
done
/host/reach "$(xl domid g1)" "$(xl domid g2)" || fail "it reaches too far"
for name in g1 g2; do
    xl destroy $name
    wait_gone $name
done
nothing_left
