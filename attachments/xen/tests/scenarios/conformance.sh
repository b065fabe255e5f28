# A part of the conformance suite in a guest: the cases that start with each word of $CASES.
guest_script g1 <<X
for case in $CASES; do
    vgpu-conformance 0000:00:18.0 "\$case" || exit 1
done
echo "guest: all is well"
X
start_guest g1 1 "$(device_model)"
wait_guest g1 'guest: all is well|script ended'
guest_log g1
says g1 'guest: all is well' || fail "the guest found a fault"
wait_gone g1
nothing_left
