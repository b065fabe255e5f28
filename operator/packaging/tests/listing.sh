# listing PLACE... prints what is there: all with mode, owner and where links lead to, and the sums of files. Left out are
# what dpkg and ldconfig write down for themselves at every call, and /run, where the tests keep files.
# For Debian's shell and for busybox.
_left_out='( -path /run -o -path /var/lib/dpkg/status* -o -path /var/lib/dpkg/lock* -o -path /var/log/dpkg.log -o -path /var/cache/ldconfig/aux-cache ) -prune -o'
listing() (
    set -f # Its patterns are find's.
    find "$@" -xdev $_left_out -exec stat -c '%A %u %g %N' {} + | sort -k 4
    find "$@" -xdev $_left_out -type f -exec sha256sum {} + | sort -k 2
)
