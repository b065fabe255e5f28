# The guide's tests on Xen, in dom0. The words in capitals are replaced by their commands.
. /bed/lib.sh

guest_script vm <<'END'
GUEST_COMMANDS
echo "acceptance: the guest is done"
read -r word
END
guest_config vm >/etc/xen/vm.cfg
vgpu-stub xl-config --file /etc/xen/vm.cfg
xl create /etc/xen/vm.cfg || fail "xl create failed"
wait_guest vm 'acceptance: the guest is done'
guest_log vm
HOST_COMMANDS
xl destroy vm
exit 0
