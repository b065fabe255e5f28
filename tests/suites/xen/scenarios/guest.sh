# A guest that is up and obeys what is typed. The machine is kept like this, and other scenarios go on from here.
[ -z "$DEVICES" ] || lines=$(device_model $DEVICES)
start_guest g1 "$VCPUS" "$lines" 'memory = 192' 'on_reboot = "restart"' 'on_crash = "preserve"' \
    "cmdline = \"$guest_arguments xen_legacy_crash\"" <<X
$obedient
X
wait_guest g1 'guest: up'
