//! Which group this process is in, and where that is mounted.

use std::path::{Path, PathBuf};

/// The folder of this process's group, by the kernel's two tables: `/proc/self/cgroup` and `/proc/self/mountinfo`
/// (proc(5)). `None` where version 2 is not mounted, or the group lies outside of what is.
pub(crate) fn folder(cgroup: &str, mountinfo: &str) -> Option<PathBuf> {
    let group = cgroup.lines().find_map(|line| line.strip_prefix("0::"))?;
    mountinfo.lines().find_map(|line| {
        let (mount, kind) = line.split_once(" - ")?;
        if kind.split(' ').next() != Some("cgroup2") {
            return None;
        }
        let mut fields = mount.split(' ').skip(3);
        let (root, at) = (fields.next()?, fields.next()?);
        let below = Path::new(group).strip_prefix(root).ok()?;
        Some(Path::new(at).join(below))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_found_where_it_is_mounted() {
        let only = "0::/system.slice/vgpud.service\n";
        let both = "9:name=systemd:/\n4:memory:/a\n0::/\n";
        let v2 = "24 1 0:22 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n";
        let v1 = "30 24 0:26 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n";
        let hybrid = "31 24 0:27 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
        let part = "24 1 0:22 /system.slice /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
        let elsewhere = "24 1 0:22 /user.slice /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
        let path = |text: &str| Some(PathBuf::from(text));
        let service = path("/sys/fs/cgroup/system.slice/vgpud.service");
        assert_eq!(folder(only, v2), service);
        assert_eq!(folder(only, part), path("/sys/fs/cgroup/vgpud.service"));
        assert_eq!(
            folder(both, &[v1, hybrid].concat()),
            path("/sys/fs/cgroup/unified/")
        );
        for (cgroup, mounts) in [
            (only, v1),
            (only, elsewhere),
            ("4:memory:/\n", v2),
            ("", ""),
        ] {
            assert_eq!(folder(cgroup, mounts), None, "{cgroup} {mounts}");
        }
    }
}
