# An HVM guest starts by xl create and lists its PCI devices.
. /bed/lib.sh

start_guest g1 <<'END'
lspci -nn
END
wait_guest g1 'guest script ended, status 0'
wait_gone g1
guest_log g1
