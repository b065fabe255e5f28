# What scenarios share: . /bed/lib.sh

# The machine itself is at fault, and another is tried once: the status that says so.
MACHINE_FAILED=75

# What no device does to a guest: its kernel faults again and again on memory that is mapped, since the emulated processor has
# kept an old entry in its TLB.
LOST_FLUSH='BUG: .* stack guard page was hit'

# fail MESSAGE: ends the scenario.
fail() {
    echo "FAILED: $*" >&2
    ! grep -qs "$LOST_FLUSH" /var/log/xen/guest-*.log || exit $MACHINE_FAILED
    exit 1
}

# expect MESSAGE COMMAND...: the command must succeed.
expect() {
    _message=$1
    shift
    "$@" || fail "$_message"
}

# guest_script NAME <SCRIPT: what the guest NAME runs, as sh. Its output goes to its console, which is
# /var/log/xen/guest-NAME.log. The guest powers off at the script's end.
guest_script() {
    rm -rf "/run/bed/$1" && mkdir -p "/run/bed/$1/bed" || fail "no room for guest $1"
    cp /bed/guest-init "/run/bed/$1/bed/init" && chmod +x "/run/bed/$1/bed/init"
    cat >"/run/bed/$1/bed/script"
    # The kernel takes several archives in a row.
    cp /host/guest/initramfs "/run/bed/$1.initramfs"
    (cd "/run/bed/$1" && find . | cpio -o -H newc 2>/dev/null) >>"/run/bed/$1.initramfs"
}

# The kernel's arguments in guests. What stands after rdinit leaves out work that takes seconds here and shows nothing.
guest_arguments="console=hvc0 quiet panic=-1 nokaslr mitigations=off rdinit=/bed/init \
cryptomgr.notests ipv6.disable=1 audit=0 apparmor=0 random.trust_cpu=on tsc=reliable no_timer_check nowatchdog \
rcupdate.rcu_expedited=1 noreplace-smp i8042.noaux i8042.nokbd 8250.nr_uarts=0 \
initcall_blacklist=crypto_kdf108_init,init_kprobe_trace,init_trace_printk_function_export,cubictcp_register"

# guest_config NAME [VCPUS [LINE...]] prints an xl configuration: an HVM guest that runs its script. Each LINE is added.
guest_config() {
    _name=$1 _vcpus=${2:-1}
    shift $(($# > 2 ? 2 : $#))
    cat <<END
name = "$_name"
type = "hvm"
memory = 384
vcpus = $_vcpus
kernel = "/host/guest/kernel"
ramdisk = "/run/bed/$_name.initramfs"
cmdline = "$guest_arguments"
tsc_mode = "native"
hap = 1
vga = "none"
nographic = 1
vnc = 0
sdl = 0
usb = 0
vkb_device = 0
on_poweroff = "destroy"
on_reboot = "destroy"
on_crash = "destroy"
END
    for _line in "$@"; do
        echo "$_line"
    done
}

# start_guest NAME [VCPUS [LINE...]]: guest_config and xl create. The script may be on standard input.
start_guest() {
    [ -e "/run/bed/$1.initramfs" ] || guest_script "$1"
    guest_config "$@" >"/run/bed/$1.cfg"
    xl create "/run/bed/$1.cfg" || fail "xl create $1 failed"
}

# guest_log NAME prints what the guest has said so far.
guest_log() {
    tr -d '\r' 2>/dev/null <"/var/log/xen/guest-$1.log"
}

# now: seconds since the machine's start.
now() {
    read -r _uptime _ </proc/uptime
    echo "${_uptime%.*}"
}

# Limits below are what a quiet machine needs. Only a failure waits for their end, so they may be longer where others work too.
PATIENCE=4

# wait_for SECONDS COMMAND...: runs the command every half second until it succeeds. More often would cost the guests
# time: the machine has one processor.
wait_for() {
    _ends=$(($(now) + $1 * PATIENCE))
    shift
    until "$@"; do
        [ "$(now)" -lt "$_ends" ] || return 1
        sleep 0.5
    done
}

# guest_console NAME prints the path of the guest's console.
guest_console() {
    xenstore-read "/local/domain/$(xl domid "$1" 2>/dev/null)/console/tty" 2>/dev/null
}

# says NAME PATTERN: whether a line of the guest matches the extended regular expression.
says() {
    grep -qsE "$2" "/var/log/xen/guest-$1.log"
}

# wait_guest NAME PATTERN [SECONDS]: until a line of the guest matches the extended regular expression.
wait_guest() {
    says "$1" "$2" && return
    _ends=$(($(now) + ${3:-30} * PATIENCE))
    # What the guest says comes to its log first, then to its console: reading there costs nothing until it speaks. The
    # console goes with the guest.
    if _tty=$(guest_console "$1"); then
        while [ -e "$_tty" ] && [ "$(now)" -lt "$_ends" ]; do
            read -r -t 2 _
            says "$1" "$2" && return
        done <"$_tty"
    fi
    says "$1" "$2" && return
    guest_log "$1"
    gone "$1" && fail "guest $1 is gone and did not say \"$2\"; its last words are above"
    fail "guest $1 did not say \"$2\" within $((${3:-30} * PATIENCE)) s; its last words are above"
}

# gone NAME: whether there is no such guest.
gone() {
    ! xl domid "$1" >/dev/null 2>&1
}

# wait_gone NAME [SECONDS]: until the guest is gone.
wait_gone() {
    _id=$(xl domid "$1" 2>/dev/null) || return 0
    # Its part of xenstore goes shortly before it, and costs less to ask for.
    wait_for "${2:-30}" eval "! xenstore-exists /local/domain/$_id" && wait_for 10 gone "$1" && return
    fail "guest $1 is not gone in time"
}

# tell_guest NAME TEXT: types a line on the guest's console, which its script may read.
tell_guest() {
    _tty=$(guest_console "$1") || fail "guest $1 has no console"
    echo "$2" >"$_tty"
}
