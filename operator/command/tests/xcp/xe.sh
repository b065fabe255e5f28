#!/bin/sh
# A stand-in for XAPI's xe: what the kit calls of it, with the words and exit codes of xen-api's cli_operations.ml.
# A VM or host is a folder of files, a map of one is a folder of its keys.
root=${0%/bin/xe}
state=$root/xapi
[ -e "$state" ] || { echo "Failed to contact a running management agent." >&2; exit 1; }
echo "$*" >>"$root/xe.log"
command=$1
shift
class=${command%%-*}
for word in "$@"; do
    case $word in
    uuid=* | host-uuid=*) uuid=${word#*=} ;;
    param-name=*) name=${word#*=} ;;
    param-key=*) key=${word#*=} ;;
    fn=*) function=${word#*=} ;;
    esac
done
object=$state/$class/$uuid
case $command in
*-list) ;;
*) [ -d "$object" ] || { printf 'The uuid you supplied was invalid.\ntype: %s\nuuid: %s\n' "$class" "$uuid" >&2; exit 1; } ;;
esac
# Where a test says after how many writes XAPI fails, it does.
may_write() {
    [ -e "$root/writes-left" ] || return 0
    left=$(cat "$root/writes-left")
    [ "$left" -gt 0 ] || { echo "Lost connection to the server." >&2; exit 1; }
    echo $((left - 1)) >"$root/writes-left"
}
case $command in
vm-list | host-list)
    found=
    for object in "$state/$class"/*; do
        [ -d "$object" ] || continue
        for word in "$@"; do
            case $word in
            uuid=*) [ "${object##*/}" = "$uuid" ] || continue 2 ;;
            name-label=*) [ "$(cat "$object/name-label")" = "${word#*=}" ] || continue 2 ;;
            platform:xenguest=*) [ "$(cat "$object/platform/xenguest" 2>/dev/null)" = "${word#*=}" ] || continue 2 ;;
            params=uuid | --minimal) ;;
            *) echo "Unknown argument: $word" >&2; exit 1 ;;
            esac
        done
        found=$found${found:+,}${object##*/}
    done
    echo "$found"
    ;;
vm-param-get | host-param-get)
    if [ -n "$key" ]; then
        [ -e "$object/$name/$key" ] || { echo "Error: Key $key not found in map" >&2; exit 1; }
        cat "$object/$name/$key"
    elif [ -d "$object/$name" ]; then
        list=
        for entry in "$object/$name"/*; do
            [ -e "$entry" ] && list="$list${list:+; }${entry##*/}: $(cat "$entry")"
        done
        echo "$list"
    else
        cat "$object/$name"
    fi
    ;;
vm-param-set)
    shift
    for word in "$@"; do
        target=${word%%=*}
        [ -d "$object/${target%%:*}" ] || { echo "Field '$target' is read-only." >&2; exit 1; }
        may_write
        echo "${word#*=}" >"$object/${target%%:*}/${target#*:}"
    done
    ;;
vm-param-remove)
    [ -e "$object/$name/$key" ] || { echo "Key $key is not in map" >&2; exit 1; }
    may_write
    rm "$object/$name/$key"
    ;;
host-call-plugin)
    plugin=$object/root/etc/xapi.d/plugins/vgpu-stub
    [ -e "$plugin" ] || { printf 'The requested plugin could not be found.\nname: vgpu-stub\n' >&2; exit 1; }
    call="<methodCall><methodName>$function</methodName><params><param><value>OpaqueRef:1</value></param>\
<param><value><struct/></value></param></params></methodCall>"
    VGPU_STUB_ROOT=$object/root "$plugin" "$call" |
        sed -n 's/.*<name>Value<\/name><value>\(.*\)<\/value><\/member>.*/\1\n/p' | grep .
    ;;
*)
    echo "Unknown command: $command" >&2
    exit 1
    ;;
esac
