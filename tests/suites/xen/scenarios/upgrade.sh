# A .deb of before the emulator was a program of its own, upgraded in place under a VM that runs, as the book's page says: the
# guest is answered all the time, the new programs understand what the old ones left, and the next emulator is the new one.
. /host/listing.sh
# Two guests boot here, one of them with a reader that never rests.
PATIENCE=10
mkdir -p /var/lib/dpkg/info && touch /var/lib/dpkg/status
listing /etc /usr /var/lib >/tmp/before
old=/usr/bin/vgpu-stub
new=/usr/lib/vgpu-stub/vgpu-emulator

dpkg --install /host/older.deb || fail "the older package cannot be installed"
[ -e $new ] && fail "the older package is none of before $new"
sum_of_old=$(sha256sum <$old)

guest_script g1 <<X
$obedient
X
guest_config g1 1 'memory = 192' >/run/bed/g1.cfg
vgpu-stub xl-config >>/run/bed/g1.cfg || fail "no lines for xl"
xl create /run/bed/g1.cfg || fail "xl create failed"
wait_guest g1 'guest: up'
domain=$(xl domid g1)
socket=/run/vgpu-stub/xen-$domain/control.sock
ctl() { vgpu-stub ctl --control "$socket" "$@"; }
# runs_old PID..., runs_new PID...: by what is in the file that the process runs, which may have no name any more.
runs_old() { for _pid in "$@"; do [ "$(sha256sum <"/proc/$_pid/exe")" = "$sum_of_old" ] || fail "$_pid is not the old program"; done; }
runs_new() { for _pid in "$@"; do [ "$(sha256sum <"/proc/$_pid/exe")" = "$(sha256sum <$new)" ] || fail "$_pid is not the new program"; done; }
runs_old $(supervisor) $(serving)

# What the guest writes, it reads again and again from here on: two places of BAR0.
in_guest g1 'setpci -s 18 04.w=2 3c.b=5a; A=$((0x$(setpci -s 18 10.l) & ~0xf)); devmem $((A + 0x10)) 32 0xcafe0001; devmem $((A + 0x3fc)) 32 0xcafe0002'
in_guest g1 'is_there() { seen="$(devmem $((A + 0x10)) 32) $(devmem $((A + 0x3fc)) 32)"; [ "$seen" = "0xCAFE0001 0xCAFE0002" ]; }'
in_guest g1 'echo 0 >/tmp/looks; (n=0; while sleep 1; do is_there || echo "guest: WRONG $seen"; n=$((n + 1)); echo $n >/tmp/looks; done) &'
in_guest g1 'looks_on() { read -r n </tmp/looks; for t in $(seq 30); do sleep 1; read -r m </tmp/looks; [ "$m" = "$n" ] || return 0; done; return 1; }'
# still_there: the guest is answered, its reader goes on, and host and guest see what they wrote.
still_there() {
    in_guest g1 'is_there && setpci -s 18 3c.b | grep 5a && looks_on'
    says g1 WRONG && { guest_log g1; fail "the guest has read something else"; }
    ctl registers >/tmp/registers || fail "the host cannot ask it"
    grep -qi 'Status .*0x00001234' /tmp/registers || { cat /tmp/registers; fail "Status is lost"; }
    grep -qi 'Request ID .*0xcafe0001' /tmp/registers || { cat /tmp/registers; fail "Request ID is lost"; }
}
ctl set-status 0x1234 || fail "no set-status"
still_there

# The upgrade: both processes are what they were, and the new command talks to them.
processes="$(supervisor) $(serving)"
dpkg --install /host/vgpu-stub.deb || fail "it cannot be upgraded"
[ -x $new ] || fail "the new package has no emulator"
[ "$(supervisor) $(serving)" = "$processes" ] || fail "the upgrade has touched what runs"
still_there
runs_old $processes
ctl info || fail "the new command does not understand the old emulator"
well g1

# What runs starts the program that it was itself.
kill -9 "$(serving)"
still_there
runs_old $(supervisor) $(serving)

# The operator has the new program take over, without the VM's restart.
[ -s "/run/vgpu-stub/xen-$domain/record" ] || fail "the old emulator is one of those that must not be killed"
kill -9 $(supervisor) $(serving)
wait_for 5 no_emulators || fail "they live"
vgpu-stub xen --detached --domid "$domain" >/tmp/ready 2>/tmp/log &
ready() { grep -q ready /tmp/ready; }
wait_for 10 ready || { cat /tmp/ready /tmp/log; fail "the new emulator does not start"; }
grep -q 'goes on with its registers' /tmp/log || { cat /tmp/log; fail "it does not take over what the old one left"; }
still_there
runs_new $(supervisor) $(serving)
well g1
kill -9 "$(serving)"
still_there
runs_new $(supervisor) $(serving)
destroy g1

# The next start of a VM takes the new program, by the configuration that the old one has printed.
xl create /run/bed/g1.cfg || fail "xl create failed after the upgrade"
wait_guest g1 'guest: up'
runs_new $(supervisor) $(serving)
in_guest g1 'vgpu-stub check'

# Removed under a VM that runs, and nothing is left.
dpkg --purge vgpu-stub || fail "it cannot be removed"
in_guest g1 'vgpu-stub check'
destroy g1
listing /etc /usr /var/lib >/tmp/after
diff /tmp/before /tmp/after || fail "the files are not as they were before"
