//! `vgpu doctor` in guests that are folders, each with one thing wrong. What only a device answers is tried in machines.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

const ADDRESS: &str = "0000:00:05.0";
const KERNEL: &str = "6.1.0-9-amd64";
/// A user who is nobody.
const NOBODY: u32 = 65534;

/// A guest in which all is well, as far as files tell.
struct Guest(TempDir);

impl Guest {
    fn new() -> Self {
        let guest = Self(TempDir::new().unwrap());
        let open = Permissions::from_mode(0o755);
        fs::set_permissions(guest.0.path(), open).unwrap();
        let device = format!("sys/bus/pci/devices/{ADDRESS}");
        guest.write(&format!("{device}/vendor"), "0x1af4\n");
        guest.write(&format!("{device}/device"), "0x1111\n");
        guest.write("sys/bus/pci/drivers/vgpu/bind", "");
        guest.link(&format!("{device}/driver"), "../../drivers/vgpu");
        guest.write("sys/module/vgpu/refcnt", "0\n");
        guest.write("proc/sys/kernel/osrelease", &format!("{KERNEL}\n"));
        guest.write(
            &format!("lib/modules/{KERNEL}/modules.dep"),
            "kernel/fs/x.ko:\nupdates/dkms/vgpu.ko.xz:\n",
        );
        guest.write(
            "proc/self/status",
            "Uid:\t0\t0\t0\t0\nCapEff:\t000001ffffffffff\n",
        );
        guest.write("etc/group", "root:x:0:\nvgpu:x:105:\n");
        guest.write("dev/vgpu0", "");
        guest.write("dev/kmsg", "");
        guest
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn link(&self, path: &str, to: &str) {
        symlink(to, self.path(path)).unwrap();
    }

    fn remove(&self, path: &str) {
        let path = self.path(path);
        match path.symlink_metadata().unwrap().is_dir() {
            true => fs::remove_dir_all(path).unwrap(),
            false => fs::remove_file(path).unwrap(),
        }
    }

    /// The report, whose exit code is right; by another user where one is named.
    fn report(&self, user: Option<u32>) -> Value {
        // Built programs may be where that user does not get.
        let program = self.path("vgpu");
        fs::copy(env!("CARGO_BIN_EXE_vgpu"), &program).unwrap();
        let mut command = Command::new(program);
        command
            .args(["doctor", "--json", "--root"])
            .arg(self.0.path());
        if let Some(user) = user {
            command.uid(user).gid(user);
        }
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let report: Value = serde_json::from_slice(&output.stdout).expect(&said);
        let code = i32::from(report["well"] != true);
        assert_eq!(output.status.code(), Some(code), "{report:#}");
        report
    }
}

fn point<'a>(report: &'a Value, id: &str) -> &'a Value {
    let mut points = report["points"].as_array().unwrap().iter();
    points.find(|it| it["id"] == id).unwrap()
}

/// The one fault beside the library, which no folder here has: its cause, and what to type first.
#[track_caller]
fn the_fault(report: &Value, id: &str) -> (String, String) {
    let points = report["points"].as_array().unwrap().iter();
    let faults = points.filter(|it| it["verdict"] == "fault" && it["id"] != "library");
    let faults: Vec<_> = faults.collect();
    assert_eq!(faults.len(), 1, "{report:#}");
    assert_eq!(faults[0]["id"], id, "{report:#}");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let (cause, mend) = (
        text(&faults[0]["cause"]),
        text(&faults[0]["mend"][0]["type"]),
    );
    assert_eq!(
        (cause.lines().count(), mend.lines().count()),
        (1, 1),
        "one line each"
    );
    (cause, mend)
}

#[test]
fn a_guest_that_is_well_as_far_as_its_files_tell() {
    let report = Guest::new().report(None);
    for id in ["device", "module", "bound", "node", "locked-memory"] {
        assert_eq!(point(&report, id)["verdict"], "ok", "{report:#}");
    }
    // A file is no device that could be asked.
    for id in ["abi", "host", "session"] {
        assert_eq!(point(&report, id)["verdict"], "not-seen", "{report:#}");
    }
    assert_eq!(report["version"], 1);
}

#[test]
fn no_device() {
    let guest = Guest::new();
    guest.write(&format!("sys/bus/pci/devices/{ADDRESS}/device"), "0x1112\n");
    let report = guest.report(None);
    let (_, mend) = the_fault(&report, "device");
    assert!(mend.starts_with("vgpu-stub doctor"), "{mend}");
    // What comes after says nothing.
    for id in ["module", "bound", "node", "abi", "host", "session"] {
        assert_eq!(point(&report, id)["verdict"], "not-seen", "{id}");
    }
}

#[test]
fn a_driver_that_is_not_loaded_or_not_built() {
    let guest = Guest::new();
    guest.remove("sys/module/vgpu");
    let (_, mend) = the_fault(&guest.report(None), "module");
    assert_eq!(mend, "sudo modprobe vgpu");
    guest.write(
        &format!("lib/modules/{KERNEL}/modules.dep"),
        "kernel/gpu/not-vgpu.ko: updates/dkms/vgpu.ko\n",
    );
    let (cause, mend) = the_fault(&guest.report(None), "module");
    assert!(cause.ends_with(KERNEL), "{cause}");
    assert!(mend.contains(&format!("linux-headers-{KERNEL}")), "{mend}");
}

#[test]
fn a_device_that_its_driver_has_not() {
    let guest = Guest::new();
    let driver = format!("sys/bus/pci/devices/{ADDRESS}/driver");
    guest.remove(&driver);
    guest.link(&driver, "../../drivers/pci-stub");
    let (cause, mend) = the_fault(&guest.report(None), "bound");
    assert!(cause.contains("pci-stub"), "{cause}");
    assert!(mend.contains("pci-stub/unbind"), "{mend}");
    guest.remove(&driver);
    let (_, mend) = the_fault(&guest.report(None), "bound");
    assert_eq!(mend, format!("sudo dmesg | grep {ADDRESS}"));
    for (said, mended) in [
        (
            "the device has no features: start it with features=on",
            "features=on",
        ),
        (
            "the device is of version 0x20000, the driver of 0x10000",
            "vgpu-dkms",
        ),
        (
            "the device has features 0x1, and 0x5 are needed",
            "vgpu-stub --version",
        ),
        ("out of luck", "drivers/vgpu/bind"),
    ] {
        // Another device's line, an older one, the one that counts, and one of another driver.
        guest.write(
            "dev/kmsg",
            &format!(
                "3,1,1,-;vgpu 0000:00:06.0: another\n3,2,2,-;vgpu {ADDRESS}: older\n\
                 3,3,3,-;vgpu {ADDRESS}: {said}\n6,4,4,-;pci {ADDRESS}: enabling device\n"
            ),
        );
        let (cause, mend) = the_fault(&guest.report(None), "bound");
        assert!(cause.ends_with(said), "{cause}");
        assert!(mend.contains(mended), "{mend}");
    }
}

#[test]
fn a_node_that_is_not_there_or_not_for_this_user() {
    let guest = Guest::new();
    guest.remove("dev/vgpu0");
    let (cause, _) = the_fault(&guest.report(None), "node");
    assert!(cause.starts_with("there is no /dev/vgpu0"), "{cause}");
    if !rustix::process::geteuid().is_root() {
        return;
    }
    guest.write("dev/vgpu0", "");
    let closed = Permissions::from_mode(0o660);
    fs::set_permissions(guest.path("dev/vgpu0"), closed).unwrap();
    let (cause, mend) = the_fault(&guest.report(Some(NOBODY)), "node");
    assert!(
        cause.contains(&format!("user {NOBODY} is not in it")),
        "{cause}"
    );
    assert!(mend.starts_with("sudo adduser"), "{mend}");
    guest.write("etc/group", "root:x:0:\nnvgpu:x:105:\n");
    let (_, mend) = the_fault(&guest.report(Some(NOBODY)), "node");
    assert!(mend.starts_with("sudo groupadd"), "{mend}");
}

#[test]
fn memory_that_root_may_not_lock() {
    let guest = Guest::new();
    let limit = |words: &str| {
        guest.write(
            "proc/self/limits",
            &format!("Max locked memory         {words} bytes\n"),
        );
    };
    limit("65536                65536");
    assert_eq!(
        point(&guest.report(None), "locked-memory")["verdict"],
        "ok",
        "by its capability"
    );
    let bounded = "Uid:\t0\t0\t0\t0\nCapEff:\t000001ffffffbfff\n";
    guest.write("proc/self/status", bounded);
    let (cause, mend) = the_fault(&guest.report(None), "locked-memory");
    assert!(cause.contains("65536"), "{cause}");
    assert!(mend.starts_with("prlimit --memlock=16777216"), "{mend}");
    for words in [
        "unlimited            unlimited",
        "16777216             16777216",
    ] {
        limit(words);
        assert_eq!(
            point(&guest.report(None), "locked-memory")["verdict"],
            "ok",
            "{words}"
        );
    }
    limit("65536                65536");
    guest.write(
        "proc/self/status",
        &bounded.replace("Uid:\t0\t0", "Uid:\t0\t1000"),
    );
    assert_eq!(
        point(&guest.report(None), "locked-memory")["verdict"],
        "ok",
        "not root's"
    );
}

#[test]
fn another_library_than_ours_or_none() {
    let guest = Guest::new();
    let library = point(&guest.report(None), "library").clone();
    assert_eq!(library["mend"][0]["type"], "sudo vgpu library enable");
    assert_eq!(library["verdict"], "fault");
}

#[test]
fn it_is_told_in_lines_too() {
    let guest = Guest::new();
    guest.remove("sys/module/vgpu");
    let mut command = Command::new(env!("CARGO_BIN_EXE_vgpu"));
    let output = command
        .args(["doctor", "--root"])
        .arg(guest.0.path())
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let wanted = "FAULT     Its driver, vgpu.ko, is loaded (module)\n          cause: vgpu.ko is there, and not loaded\n          \
                  mend, in the guest:\n            sudo modprobe vgpu\n";
    assert!(said.contains(wanted), "{said}");
}
