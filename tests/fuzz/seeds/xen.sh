# Records what goes on around a guest on Xen: the emulator's talk with xenstored, what its accesses were, and the file
# that it keeps. Run by `cargo xtask xen`: see README.md.
. /bed/lib.sh

# The emulator finds the recorder where xenstored was.
mv /run/xenstored/socket /run/xenstored/real
/host/record /run/xenstored/socket /run/xenstored/real /tmp/xenstore.txt &
sleep 1

guest_script g1 <<'X'
lspci -d 1af4:1111 -nnvvv
vgpu-stub check
echo "guest: up"
read -r word
X
guest_config g1 1 >/run/bed/g1.cfg

# xl's own connections have to reach xenstored itself, so it comes first.
mv /run/xenstored/socket /run/xenstored/recorder
mv /run/xenstored/real /run/xenstored/socket
xl create -p /run/bed/g1.cfg || fail "xl create failed"
domain=$(xl domid g1)
mv /run/xenstored/socket /run/xenstored/real
mv /run/xenstored/recorder /run/xenstored/socket
/host/vgpu-stub xen --domid "$domain" --trace access >/tmp/ready 2>/tmp/trace.txt &
wait_for 10 grep -q 'ready for domain' /tmp/ready || { cat /tmp/trace.txt; fail "it is not ready"; }
mv /run/xenstored/real /run/xenstored/socket
xl unpause g1
wait_guest g1 'guest: up' 400
for file in /tmp/xenstore.txt /tmp/trace.txt; do
    echo "FILE $(basename $file)"
    cat $file
done
cp "/run/vgpu-stub/xen-$domain/kept" /tmp/kept
echo "FILE kept"
od -An -v -tx1 /tmp/kept | tr -d ' \n'
echo
echo "FILE end"
xl destroy g1
wait_gone g1
