# A part of the conformance suite in a guest: the cases that start with each word of $CASES.
for case in $CASES; do
    in_guest g1 "vgpu-conformance 0000:00:18.0 $case"
done
guest_log g1
destroy g1
