//! `vgpu-stub check` on a fake sysfs tree: each criterion can fail, and what
//! was changed is put back. That all of them can hold takes a real kernel and
//! a real device: the tests that boot a guest show it.

use std::{
    collections::BTreeMap,
    fs,
    os::fd::AsRawFd,
    os::unix::{
        fs::{MetadataExt, PermissionsExt, symlink},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::Command,
};

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create};
use serde_json::Value;
use tempfile::TempDir;

const ADDRESS: &str = "0000:00:05.0";
const REQUEST_ID: usize = 0x010;

/// A guest with one device, which is all that it should be.
struct Guest {
    folder: TempDir,
}

impl Guest {
    fn new() -> Self {
        let guest = Self {
            folder: TempDir::new().unwrap(),
        };
        guest.write("bus/pci/drivers_probe", "");
        guest.write("bus/pci/rescan", "");
        guest.add_driver("pci-stub");
        guest.add_device(ADDRESS);
        guest.write(
            "kmsg",
            "6,210,311000,-;pci 0000:00:05.0: [1af4:1111] type 00 class 0x120000\n",
        );
        guest
    }

    fn without_stub_driver() -> Self {
        let guest = Self::new();
        fs::remove_dir_all(guest.path("bus/pci/drivers/pci-stub")).unwrap();
        guest
    }

    fn add_device(&self, address: &str) {
        let device = |name| format!("bus/pci/devices/{address}/{name}");
        for (name, content) in [
            ("vendor", "0x1af4\n"),
            ("device", "0x1111\n"),
            ("class", "0x120000\n"),
            ("revision", "0x01\n"),
            ("enable", "0\n"),
            ("driver_override", "(null)\n"),
            ("remove", ""),
            (
                "resource",
                "0x00000000febf1000 0x00000000febf1fff 0x0000000000040200\n",
            ),
        ] {
            self.write(&device(name), content);
        }
        self.write(&device("config"), config());
        self.write(&device("resource0"), [0; 4096]);
    }

    fn add_driver(&self, name: &str) {
        for file in ["bind", "unbind"] {
            self.write(&format!("bus/pci/drivers/{name}/{file}"), "");
        }
    }

    /// Adds a program that loads modules, run in the folder bus/pci.
    fn add_modprobe(&self, script: &str) {
        let bus = self.path("bus/pci");
        let script = format!("#!/bin/sh\ncd {}\n{script}\n", bus.display());
        self.write("script", script);
        install(&self.path("script"), &self.path("modprobe"));
    }

    fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// The path of an attribute of the first device.
    fn attribute(name: &str) -> String {
        format!("bus/pci/devices/{ADDRESS}/{name}")
    }

    fn read(&self, attribute: &str) -> Vec<u8> {
        fs::read(self.path(&Self::attribute(attribute))).unwrap()
    }

    /// Puts bytes into the config space of the first device.
    fn poke(&self, offset: usize, bytes: &[u8]) {
        let mut config = self.read("config");
        config[offset..offset + bytes.len()].copy_from_slice(bytes);
        self.write(&Self::attribute("config"), config);
    }

    /// Every file with its content.
    fn snapshot(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut files = BTreeMap::new();
        collect(self.folder.path(), &mut files);
        files
    }

    fn command(&self, args: &[&str]) -> assert_cmd::Command {
        let mut command = assert_cmd::Command::from_std(Command::new(vgpu_stub()));
        command.arg("check").args(args);
        for (option, path) in [
            ("--sysfs", ""),
            ("--kernel-log", "kmsg"),
            ("--modprobe", "modprobe"),
        ] {
            command.arg(option).arg(self.path(path));
        }
        command
    }

    /// Runs the check for its JSON, and holds the exit code against it.
    fn check(&self, args: &[&str]) -> Value {
        let output = self.command(args).arg("--json").output().unwrap();
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        let code = if report["holds"] == true { 0 } else { 1 };
        assert_eq!(output.status.code(), Some(code), "{report:#}");
        report
    }
}

fn vgpu_stub() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_vgpu-stub"))
}

/// Copies a program in another process: a file that this one has written may
/// still be open in the child of another test, and then nobody can run it.
fn install(from: &Path, to: &Path) {
    let mut command = Command::new("install");
    let status = command.arg("--mode=755").args([from, to]).status();
    assert!(status.unwrap().success());
}

fn collect(folder: &Path, files: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else {
            files.insert(path.clone(), fs::read(path).unwrap());
        }
    }
}

/// Config space as firmware leaves it: the BAR has its address, memory decode
/// is on.
fn config() -> Vec<u8> {
    let mut config = vec![0; 256];
    for (offset, bytes) in [
        (0x00, &[0xf4, 0x1a, 0x11, 0x11][..]),
        (0x04, &[0x02, 0x00, 0x10, 0x00]),
        (0x08, &[0x01, 0x00, 0x00, 0x12]),
        (0x10, &0xfebf_1000_u32.to_le_bytes()),
        (0x34, &[0x40]),
        (0x40, &[0x10, 0x00, 0x92, 0x00]),
    ] {
        config[offset..offset + bytes.len()].copy_from_slice(bytes);
    }
    config
}

fn verdicts(report: &Value) -> Vec<&str> {
    let criteria = report["devices"][0]["criteria"].as_array().unwrap();
    let verdicts = criteria.iter().map(|it| it["verdict"].as_str().unwrap());
    verdicts.collect()
}

/// The cause of the one criterion that fails.
#[track_caller]
fn the_failure(report: &Value, number: usize) -> &str {
    let failing = |(_, verdict): &(usize, &&str)| **verdict == "fail";
    let failed: Vec<usize> = verdicts(report)
        .iter()
        .enumerate()
        .filter(failing)
        .map(|(index, _)| index + 1)
        .collect();
    assert_eq!(failed, [number], "{report:#}");

    let criterion = &report["devices"][0]["criteria"][number - 1];
    let mend = criterion["mend"].as_str().unwrap();
    assert!(!mend.is_empty() && !mend.contains('\n'), "{mend:?}");
    let cause = criterion["cause"].as_str().unwrap();
    assert!(!cause.contains('\n'), "{cause:?}");
    cause
}

#[test]
fn read_only_passes_a_good_device_and_changes_nothing() {
    let guest = Guest::new();
    let before = guest.snapshot();
    let report = guest.check(&["--read-only"]);
    assert_eq!(
        verdicts(&report),
        ["pass", "pass", "pass", "pass", "pass", "pass", "skipped"]
    );
    assert_eq!(report["holds"], true);
    assert_eq!(guest.snapshot(), before);
}

#[test]
fn the_table_shows_each_criterion_with_its_evidence() {
    let guest = Guest::new();
    let output = guest.command(&["--read-only"]).unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let sysfs = guest.folder.path().to_str().unwrap();
    assert_eq!(
        text.replace(&format!("{sysfs}/"), "/sys/"),
        "\
vGPU at 0000:00:05.0
 1 PASS  Device appears on the PCI bus
         /sys/bus/pci/devices/0000:00:05.0
 2 PASS  Vendor ID is the expected one
         sysfs vendor 0x1af4, config 0x00: f4 1a
 3 PASS  Device ID is the expected one
         sysfs device 0x1111, config 0x02: 11 11
 4 PASS  Class is Processing accelerators
         sysfs class 0x120000, config 0x09: 00 00 12
         sysfs revision 0x01, config 0x08: 01
 5 PASS  Device has a memory BAR
         resource 0: 0xfebf1000..0xfebf1fff flags 0x40200, 4 KiB of 32-bit, non-prefetchable memory
         config 0x10: 0xfebf1000
         skipped (read-only): enable, Request ID
 6 PASS  Kernel log has no complaint about the device
         kernel log: 1 records, 1 of them about 0000:00:05.0
         the oldest 210 records are lost
         no warning among them, nor a known complaint of the PCI subsystem
 7 SKIP  Linux PCI subsystem can probe the device: skipped (read-only)

6 of 7 criteria hold, 1 skipped, 0 failed
"
    );
}

#[test]
fn each_wrong_file_fails_its_criterion_alone() {
    for (attribute, content, number, cause) in [
        ("vendor", "0x10de", 2, "sysfs vendor 0x10de"),
        ("device", "0x1112", 3, "sysfs device 0x1112"),
        ("class", "0x030000", 4, "sysfs class 0x030000"),
        ("class", "VGA", 4, "\"VGA\""),
        ("revision", "0x02", 4, "they differ"),
        ("resource", "", 5, "for BAR 0"),
        ("resource", "0x0 0x0 0x0", 5, "no BAR 0"),
        ("resource", "0xc000 0xcfff 0x40101", 5, "not 32-bit"),
        ("resource", "0xfebf1000 0xfebf1fff 0x42208", 5, "not 32-bit"),
        (
            "resource",
            "0xfebf1000 0xfebf1fff 0x140204",
            5,
            "not 32-bit",
        ),
        ("resource", "0xfebf1000 0xfebf17ff 0x40200", 5, "2048 bytes"),
        (
            "resource",
            "0xfebf1000 0xfebf3fff 0x40200",
            5,
            "12288 bytes",
        ),
        ("resource", "0x0 0xfff 0x20040200", 5, "no address"),
        (
            "resource",
            "0xfebf2000 0xfebf2fff 0x40200",
            5,
            "not the address",
        ),
    ] {
        let guest = Guest::new();
        guest.write(&Guest::attribute(attribute), content);
        let report = guest.check(&["--read-only", "--address", ADDRESS]);
        let seen = the_failure(&report, number);
        assert!(seen.contains(cause), "{attribute} {content:?}: {seen}");
    }
}

#[test]
fn each_wrong_byte_of_config_space_fails_its_criterion_alone() {
    for (offset, bytes, number, cause) in [
        (0x01, &[0x10][..], 2, "config 0x00: f4 10"),
        (0x03, &[0x10], 3, "config 0x02: 11 10"),
        (0x09, &[0x12, 0x00, 0x00], 4, "config 0x09: 12 00 00"),
        (0x10, &[0x08], 5, "config 0x10: 0xfebf1008"),
    ] {
        let guest = Guest::new();
        guest.poke(offset, bytes);
        let report = guest.check(&["--read-only"]);
        let seen = the_failure(&report, number);
        assert!(seen.contains(cause), "{offset:#x} {bytes:x?}: {seen}");
    }
}

/// Below a bridge to conventional PCI the capability is rightly not there.
#[test]
fn a_device_without_capabilities_has_its_bar() {
    let guest = Guest::new();
    for (offset, bytes) in [(0x06, [0x00]), (0x34, [0x00]), (0x40, [0x00])] {
        guest.poke(offset, &bytes);
        assert_eq!(guest.check(&["--read-only"])["holds"], true, "{offset:#x}");
    }
}

#[test]
fn config_space_cut_short_fails_the_bar() {
    let guest = Guest::new();
    guest.write(&Guest::attribute("config"), &config()[..16]);
    let report = guest.check(&["--read-only"]);
    assert!(the_failure(&report, 5).contains("ends at 0x10"));
}

#[test]
fn a_complaint_of_the_kernel_fails_the_log() {
    let guest = Guest::new();
    guest.write(
        "kmsg",
        "6,0,311000,-;pci 0000:00:05.0: BAR 0: no space for [mem size 0x00001000]\n\
         3,1,312000,-;pci 0000:00:05.0: and so on\n",
    );
    assert_eq!(
        the_failure(&guest.check(&["--read-only"]), 6),
        "[    0.311000] pci 0000:00:05.0: BAR 0: no space for [mem size 0x00001000] (and 1 more)"
    );
}

#[test]
fn an_unreadable_log_fails_the_log() {
    let guest = Guest::new();
    fs::remove_file(guest.path("kmsg")).unwrap();
    let report = guest.check(&["--read-only"]);
    assert!(the_failure(&report, 6).contains("cannot read"));
}

#[test]
fn registers_and_enable_are_put_back() {
    let guest = Guest::new();
    let mut bar = vec![0; 4096];
    bar[REQUEST_ID] = 0x77;
    guest.write(&Guest::attribute("resource0"), &bar);

    let report = guest.check(&[]);
    let evidence = report["devices"][0]["criteria"][4]["evidence"].to_string();
    assert!(evidence.contains("keeps 0xa5a55a5a"), "{evidence}");
    assert!(evidence.contains("keeps 0x5a5aa5a5"), "{evidence}");
    assert!(evidence.contains("is 0x00000077 again"), "{evidence}");
    assert_eq!(guest.read("resource0"), bar);
    assert_eq!(guest.read("enable"), b"0\n");
    assert_eq!(guest.read("config"), config());
}

#[test]
fn memory_decode_that_stays_off_fails_the_bar() {
    let guest = Guest::new();
    guest.poke(0x04, &[0x00]);
    let report = guest.check(&[]);
    let cause = report["devices"][0]["criteria"][4]["cause"].as_str();
    assert!(cause.unwrap().contains("memory decode is off"), "{cause:?}");
    assert_eq!(guest.read("enable"), b"0\n");
}

#[test]
fn enable_is_put_back_when_the_bar_cannot_be_mapped() {
    let guest = Guest::new();
    let resource = guest.path(&Guest::attribute("resource0"));
    fs::remove_file(&resource).unwrap();
    symlink("/dev/null", resource).unwrap();
    let report = guest.check(&[]);
    let cause = report["devices"][0]["criteria"][4]["cause"].as_str();
    assert!(cause.unwrap().contains("cannot map the BAR"), "{cause:?}");
    assert_eq!(guest.read("enable"), b"0\n");
}

/// The kernel says so where securityfs is mounted; else it refuses to map the BAR, as it does a sealed file.
#[test]
fn a_kernel_in_lockdown_hides_the_registers_and_fails_nothing() {
    let guest = Guest::new();
    guest.write(
        "kernel/security/lockdown",
        "none [integrity] confidentiality\n",
    );
    let before = guest.read("config");
    let report = guest.check(&[]);
    let evidence = report["devices"][0]["criteria"][4]["evidence"].to_string();
    assert!(
        evidence.contains("skipped (kernel lockdown): enable, Request ID"),
        "{evidence}"
    );
    assert_eq!(guest.read("config"), before);

    let guest = Guest::new();
    guest.write(
        "kernel/security/lockdown",
        "[none] integrity confidentiality\n",
    );
    let bar = memfd_create("bar", MemfdFlags::ALLOW_SEALING).unwrap();
    ftruncate(&bar, 4096).unwrap();
    fcntl_add_seals(&bar, SealFlags::WRITE).unwrap();
    let resource = guest.path(&Guest::attribute("resource0"));
    fs::remove_file(&resource).unwrap();
    let descriptor = format!("/proc/{}/fd/{}", std::process::id(), bar.as_raw_fd());
    symlink(descriptor, resource).unwrap();
    let report = guest.check(&[]);
    let criterion = &report["devices"][0]["criteria"][4];
    assert_eq!(criterion["verdict"], "pass", "{criterion:#}");
    let evidence = criterion["evidence"].to_string();
    assert!(
        evidence.contains("skipped (kernel lockdown: cannot map the BAR: Operation not permitted"),
        "{evidence}"
    );
    assert_eq!(guest.read("enable"), b"0\n");
}

#[test]
fn a_driver_that_does_not_bind_fails_the_probe() {
    let guest = Guest::new();
    let report = guest.check(&[]);
    assert_eq!(
        the_failure(&report, 7),
        "driver_override pci-stub, drivers_probe: bound to none"
    );
    let probed = fs::read_to_string(guest.path("bus/pci/drivers_probe")).unwrap();
    assert_eq!(probed, ADDRESS);
    assert!(guest.read("driver_override").starts_with(b"\n"), "cleared");
}

#[test]
fn a_driver_that_does_not_let_go_fails_what_needs_the_device() {
    let guest = Guest::new();
    guest.add_driver("vgpu");
    symlink(
        guest.path("bus/pci/drivers/vgpu"),
        guest.path(&Guest::attribute("driver")),
    )
    .unwrap();
    let report = guest.check(&[]);
    assert_eq!(
        verdicts(&report),
        ["pass", "pass", "pass", "pass", "fail", "pass", "fail"]
    );
    let cause = &report["devices"][0]["criteria"][6]["cause"];
    assert_eq!(cause, "the driver of 0000:00:05.0 is vgpu, not none");
    assert_eq!(guest.read("enable"), b"0\n");
}

#[test]
fn without_a_stub_driver_the_probe_names_the_module() {
    let guest = Guest::without_stub_driver();
    let report = guest.check(&[]);
    assert!(the_failure(&report, 7).contains("neither the driver"));
    let mend = &report["devices"][0]["criteria"][6]["mend"];
    assert!(mend.as_str().unwrap().contains("modprobe pci-stub"));
}

#[test]
fn a_module_that_was_loaded_is_unloaded() {
    let guest = Guest::without_stub_driver();
    guest.add_modprobe(
        "case \"$*\" in
            pci-pf-stub) mkdir drivers/pci-pf-stub;;
            '-r pci-pf-stub') rmdir drivers/pci-pf-stub; touch unloaded;;
            *) exit 1;;
        esac",
    );
    let report = guest.check(&[]);
    assert_eq!(
        the_failure(&report, 7),
        "driver_override pci-pf-stub, drivers_probe: bound to none"
    );
    assert!(guest.path("bus/pci/unloaded").exists());
    assert!(!guest.path("bus/pci/drivers/pci-pf-stub").exists());
}

#[test]
fn the_command_register_is_put_back() {
    // The module stands in for a driver that enables bus mastering.
    let guest = Guest::without_stub_driver();
    guest.add_modprobe(&format!(
        "[ $1 = -r ] && exit
        printf '\\006' | dd of=devices/{ADDRESS}/config bs=1 seek=4 conv=notrunc
        mkdir drivers/$1
        touch changed"
    ));
    let report = guest.check(&[]);
    the_failure(&report, 7);
    assert!(guest.path("bus/pci/changed").exists());
    assert_eq!(guest.read("config"), config());
}

#[test]
fn a_function_with_other_ids_is_left_alone() {
    let guest = Guest::new();
    let before = guest.snapshot();
    let report = guest.check(&["--address", "00:05.0", "--device-id", "0x1112"]);
    assert!(the_failure(&report, 3).contains("not 1112"));
    assert_eq!(verdicts(&report)[6], "skipped");
    assert_eq!(guest.snapshot(), before);
}

#[test]
fn no_device_fails_the_first_criterion_and_skips_the_rest() {
    let guest = Guest::new();
    for (args, cause) in [
        (
            &["--device-id", "1112"][..],
            "no PCI function has the ids 1af4:1112",
        ),
        (&["--address", "00:06.0"], "no PCI function at 0000:00:06.0"),
    ] {
        let report = guest.check(args);
        assert_eq!(the_failure(&report, 1), cause);
        assert_eq!(verdicts(&report)[1..], ["skipped"; 6]);
        assert_eq!(report["devices"][0]["address"], Value::Null);
    }
}

#[test]
fn every_device_is_reported() {
    let guest = Guest::new();
    guest.add_device("0000:01:00.0");
    guest.write("bus/pci/devices/0000:01:00.0/class", "0x030000");
    let report = guest.check(&["--read-only"]);
    let devices = report["devices"].as_array().unwrap();
    let addresses: Vec<&Value> = devices.iter().map(|device| &device["address"]).collect();
    assert_eq!(addresses, [ADDRESS, "0000:01:00.0"]);
    assert_eq!(report["holds"], false);

    let report = guest.check(&["--read-only", "--address", ADDRESS]);
    assert_eq!(report["devices"].as_array().unwrap().len(), 1);
    assert_eq!(report["holds"], true);
}

#[test]
fn the_json_shape_is_kept() {
    let keys =
        |value: &Value| -> Vec<String> { value.as_object().unwrap().keys().cloned().collect() };
    let report = Guest::new().check(&["--read-only"]);
    assert_eq!(report["version"], 1);
    assert_eq!(
        keys(&report),
        [
            "device_id",
            "devices",
            "holds",
            "read_only",
            "vendor_id",
            "version"
        ]
    );
    let device = &report["devices"][0];
    assert_eq!(keys(device), ["address", "criteria"]);
    let criteria = device["criteria"].as_array().unwrap();
    for (criterion, number) in criteria.iter().zip(1..=7) {
        assert_eq!(criterion["number"], number);
        assert_eq!(
            keys(criterion),
            ["cause", "evidence", "mend", "name", "number", "verdict"]
        );
    }
    assert_eq!(criteria.len(), 7);
}

#[test]
fn what_stops_the_check_is_told_with_its_mend() {
    let guest = Guest::new();
    fs::remove_dir_all(guest.path("bus")).unwrap();
    let output = guest.command(&[]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let errors = String::from_utf8(output.stderr).unwrap();
    let lines: Vec<&str> = errors.lines().collect();
    assert!(lines[0].starts_with("error: no folder "), "{errors}");
    assert!(lines[1].starts_with("mend:  run it in a guest"), "{errors}");
    assert_eq!(lines.len(), 2, "{errors}");
}

#[test]
fn wrong_usage_is_refused() {
    for args in [
        ["--vendor-id", "ffff"],
        ["--device-id", "0"],
        ["--address", "5"],
        ["--address", "../../00:05.0"],
    ] {
        Guest::new().command(&args).assert().code(2).stdout("");
    }
}

#[test]
fn others_than_root_are_refused() {
    const NOBODY: u32 = 65534;

    // Nobody may not be let into the build folder.
    let folder = TempDir::new().unwrap();
    fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let program = folder.path().join("vgpu-stub");
    install(vgpu_stub(), &program);

    let mut command = Command::new(program);
    command.arg("check");
    if fs::metadata(folder.path()).unwrap().uid() == 0 {
        command.uid(NOBODY);
    }
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(errors.starts_with("error: not root"), "{errors}");
}
