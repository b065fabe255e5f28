# However a domain ends, nothing is left: shut down, paused and destroyed, destroyed while it starts.
xl shutdown g1 || fail "xl shutdown failed"
wait_gone g1
nothing_left

start_guest g2 1 "$(device_model)" </dev/null
xl pause g2
destroy g2
