//! With the kernel's own groups, for who may make one: root, where version 2 is mounted.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use vgpu_control_group::{Bounds, Error, Root};

const BOUNDS: Bounds = Bounds {
    memory: Some(64 << 20),
    tasks: 9,
};

/// A folder for groups, if this user may make one.
fn root(name: &str) -> Option<Root> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let mount = mounts.lines().find(|line| line.contains(" - cgroup2 "))?;
    let at = Path::new(mount.split(' ').nth(4)?);
    let path = at.join(format!("vgpu-test-{name}-{}", std::process::id()));
    match Root::at(&path) {
        Ok(root) => Some(root),
        Err(error) => {
            println!("not tried: {error}");
            None
        }
    }
}

struct Sleeper(Child);

impl Sleeper {
    fn start() -> Self {
        Self(Command::new("sleep").arg("1000").spawn().unwrap())
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn remove(path: PathBuf) {
    fs::remove_dir(path).unwrap();
}

#[test]
fn a_group_ends_with_all_that_is_in_it() {
    let Some(root) = root("kill") else { return };
    let group = root.group("vm-1", BOUNDS).unwrap();
    let mut sleepers = [Sleeper::start(), Sleeper::start()];
    let other = root.group("vm-2", BOUNDS).unwrap();
    let mut outside = Sleeper::start();
    other.add(outside.0.id()).unwrap();
    for sleeper in &sleepers {
        group.add(sleeper.0.id()).unwrap();
    }
    let mut processes = group.processes().unwrap();
    processes.sort_unstable();
    let mut ids = sleepers.each_ref().map(|it| it.0.id());
    ids.sort_unstable();
    assert_eq!(processes, ids);
    assert!(
        matches!(group.remove(), Err(Error::System { .. })),
        "processes are in it"
    );
    group.kill().unwrap();
    for sleeper in &mut sleepers {
        assert!(!sleeper.0.wait().unwrap().success());
    }
    assert_eq!(outside.0.try_wait().unwrap(), None);
    let start = Instant::now();
    while group.remove().is_err() {
        assert!(start.elapsed() < Duration::from_secs(2));
    }
    group.remove().unwrap();
    other.kill().unwrap();
    outside.0.wait().unwrap();
    while other.remove().is_err() {
        assert!(start.elapsed() < Duration::from_secs(4));
    }
    remove(root.path().to_owned());
}

/// Where the kernel offers the controllers in version 2, it holds the bounds.
#[test]
fn the_kernel_has_the_bounds() {
    let Some(root) = root("bounds") else { return };
    let group = root.group("vm-1", BOUNDS).unwrap();
    for (controller, file, value) in [
        ("memory", "memory.max", "67108864"),
        ("pids", "pids.max", "9"),
    ] {
        if root.controllers().contains(&controller) {
            let text = fs::read_to_string(group.path().join(file)).unwrap();
            assert_eq!(text.trim(), value);
        }
    }
    group.remove().unwrap();
    remove(root.path().to_owned());
}
