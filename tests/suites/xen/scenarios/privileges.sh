# What the process that answers g1 can do to g2, to xenstore and to dom0: nothing.
for name in g1 g2; do
    guest_script $name </dev/null
    guest_config $name 1 "$(device_model)" 'memory = 128' >/run/bed/$name.cfg
    xl create -p /run/bed/$name.cfg || fail "xl create failed"
done
domain=$(xl domid g1)
/host/reach "$domain" "$(xl domid g2)" || fail "it reaches too far"
# The acts that end leave files behind, for which dom0 has little room.
mkdir /run/acts && mount -t tmpfs tmpfs /run/acts || fail "no tmpfs"
TMPDIR=/run/acts /host/vgpu-compromised try xen "$domain" "$(xl domid g2)" >/tmp/acts || {
    grep WRONG /tmp/acts
    fail "an act does not come to what it should"
}
echo "$(grep -c . /tmp/acts) acts"

# The process itself is where those were tried.
pid=$(serving | head -n 1)
user=$((2013265920 + domain))
for task in "/proc/$pid/task"/*; do
    [ "$(awk '/^(Uid|Gid|Groups|CapEff|NoNewPrivs|Seccomp):/ { $1 = $1; print }' "$task/status" | tr '\n' ';')" = \
        "Uid: $user $user $user $user;Gid: $user $user $user $user;Groups:;CapEff: 0000000000000000;NoNewPrivs: 1;Seccomp: 2;" ] ||
        { cat "$task/status"; fail "a thread is not in the sandbox"; }
done
limits() { awk '/^Max (file size|core file size|processes) / { print $(NF - 1) }' "/proc/$pid/limits" | tr '\n' ' '; }
[ "$(limits)" = "0 0 0 " ] || { cat "/proc/$pid/limits"; fail "its limits are others"; }
[ -z "$(ls -A "/proc/$pid/root")" ] || fail "it sees files: $(ls -A "/proc/$pid/root")"
[ "$(awk '{ print $6 }' "/proc/$pid/stat")" = "$pid" ] || fail "it is in another's session"
for descriptor in "/proc/$pid/fd"/*; do
    leads=$(readlink "$descriptor")
    case "${descriptor##*/} $leads" in
        [012]\ pipe:*) ;;
        [012]\ *) fail "its descriptor ${descriptor##*/} is no pipe, but $leads" ;;
        *\ socket:* | *\ anon_inode:* | *\ /dev/xen/privcmd | *\ /dev/xen/evtchn) ;;
        *\ "/run/vgpu-stub/xen-$domain" | *\ "/run/vgpu-stub/xen-$domain/kept") ;;
        *) fail "it has $leads open" ;;
    esac
done
for name in g1 g2; do
    xl destroy $name
    wait_gone $name
done
nothing_left
