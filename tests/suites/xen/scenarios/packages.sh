# The .deb in dom0: a guest has its emulator by the lines that xl-config prints, keeps it when the package goes, and nothing
# else is left. dpkg is busybox's here; cargo xtask package --check has Debian's own, without Xen.
. /host/listing.sh
guest_script g1 </dev/null
guest_config g1 >/run/bed/g1.cfg
mkdir -p /var/lib/dpkg/info && touch /var/lib/dpkg/status
listing /etc /usr /var/lib >/tmp/before
[ -s /tmp/before ] || fail "nothing is listed"

dpkg --install /host/vgpu-stub.deb || fail "it cannot be installed"
vgpu-stub xl-config >>/run/bed/g1.cfg || fail "no lines for xl"
tail -n 3 /run/bed/g1.cfg
xl create -p /run/bed/g1.cfg || fail "xl create failed"
[ "$(emulators)" -eq 2 ] || fail "no emulator"
xenstore-ls "/local/domain/$(xl domid g1)/device/vgpu" || fail "no device in xenstore"

dpkg --purge vgpu-stub || fail "it cannot be removed"
[ "$(emulators)" -eq 2 ] || fail "the emulator went with the package"
destroy g1
listing /etc /usr /var/lib >/tmp/after
diff /tmp/before /tmp/after || fail "the files are not as they were before"
