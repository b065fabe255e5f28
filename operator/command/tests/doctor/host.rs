//! A made-up host, and its report.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

pub(crate) const UUID: &str = "77ff36e4-cc89-4e1f-8a63-f762453eeb7b";

/// The host of XCP-ng, and another of its pool, as XAPI names them.
pub(crate) const HERE: &str = "0e0f4b2c-9a4b-4c87-8d1f-4b3f3f0c7a01";
pub(crate) const THERE: &str = "5d1c2a90-3f6e-4f0b-a0c2-2f7e9b6d5c02";

/// The files that a host of XCP-ng needs for a VM with the device.
pub(crate) const KIT: [&str; 8] = [
    "usr/bin/vgpu-stub",
    "usr/lib/vgpu-stub/vgpu-emulator",
    "usr/lib/xapi/alternatives/xenguest/vgpu-stub",
    "usr/lib/systemd/system/vgpu-stub-xen@.service",
    "etc/xapi.d/vm-pre-start/50-vgpu-stub",
    "etc/xapi.d/vm-post-destroy/50-vgpu-stub",
    "etc/xapi.d/plugins/vgpu-stub",
    "usr/libexec/xen/bin/xenguest",
];

/// A made-up host: files below a folder, and commands in `bin`.
pub(crate) struct Host {
    pub(crate) folder: TempDir,
}

impl Host {
    pub(crate) fn new() -> Self {
        let host = Self {
            folder: TempDir::new().unwrap(),
        };
        fs::create_dir_all(host.path("proc/self/net")).unwrap();
        fs::create_dir_all(host.path("bin")).unwrap();
        host
    }

    /// A dom0 of XCP-ng 8.3 with the kit, and a VM called web1 that runs as domain 5.
    pub(crate) fn xcp_ng() -> Self {
        let host = Self::dom0();
        host.write(
            "etc/xensource-inventory",
            &format!("PRODUCT_BRAND='XCP-ng'\nINSTALLATION_UUID='{HERE}'\n"),
        );
        host.write("resident-on", &format!("{HERE}\n"));
        for part in KIT {
            host.program(part, "");
        }
        let xe = format!(
            "case \"$*\" in\n\
             'vm-list name-label=web1 params=uuid --minimal') echo {UUID};;\n\
             'vm-list '*) echo;;\n\
             'vm-param-get uuid={UUID} param-name=dom-id') echo 5;;\n\
             'vm-param-get uuid={UUID} param-name=resident-on') cat {};;\n\
             'host-param-get uuid={THERE} param-name=name-label') echo xcp2;;\n\
             *) echo \"no such call: $*\" >&2; exit 1;;\n\
             esac",
            host.path("resident-on").display()
        );
        host.program("bin/xe", &xe);
        let xenstore = format!(
            "case \"$1\" in\n\
             /local/domain/5/vm) echo /vm/{UUID};;\n\
             /local/domain/5/platform/xenguest) cat {} 2>/dev/null || exit 1;;\n\
             *) exit 1;;\n\
             esac",
            host.path("platform").display()
        );
        host.program("bin/xenstore-read", &xenstore);
        host.write("platform", "vgpu-stub\n");
        host.program("bin/xl", "echo '(XEN) all is well'");
        host.process(100, "qemu-dm-5 -xen-domid 5 -nodefaults", 'S');
        host.process(101, "vgpu-stub xen --domid 5", 'S');
        host.process(102, "vgpu-stub xen --serving --domid 5", 'S');
        host.write(
            "var/log/daemon.log",
            "Nov 24 11:00:00 host qemu-dm-4[99]: vgpu-stub: error of another VM\n\
             Nov 24 11:00:00 host qemu-dm-5[100]: all is well\n",
        );
        host
    }

    pub(crate) fn dom0() -> Self {
        let host = Self::new();
        host.write("proc/xen/capabilities", "control_d\n");
        host.write("sys/hypervisor/version/major", "4\n");
        host.write("sys/hypervisor/version/minor", "17\n");
        host
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Written by another process: see `install` in check.rs.
    pub(crate) fn program(&self, path: &str, script: &str) {
        // The doctor finds no program of this machine's.
        let script = format!("#!/bin/sh\nPATH=/usr/bin:/bin\n{script}\n");
        self.write("script", &script);
        let to = self.path(path);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        let mut install = Command::new("install");
        let status = install
            .arg("--mode=755")
            .args([self.path("script"), to])
            .status();
        assert!(status.unwrap().success());
    }

    pub(crate) fn process(&self, pid: u32, words: &str, state: char) {
        self.write(
            &format!("proc/{pid}/cmdline"),
            &(words.replace(' ', "\0") + "\0"),
        );
        self.write(&format!("proc/{pid}/stat"), &format!("{pid} (x) {state} 1"));
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_vgpu-stub"))
            .args(["doctor", "--timeout", "2", "--root"])
            .arg(self.folder.path())
            .args(arguments)
            .env("PATH", self.path("bin"))
            .output()
            .unwrap()
    }

    /// The report, whose exit code is right.
    pub(crate) fn report(&self, arguments: &[&str]) -> Value {
        let arguments = [arguments, &["--json"]].concat();
        let output = self.run(&arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let report: Value = serde_json::from_slice(&output.stdout).expect(&said);
        let code = i32::from(report["well"] != true);
        assert_eq!(output.status.code(), Some(code), "{report:#}");
        report
    }
}

pub(crate) fn faults(report: &Value) -> Vec<&Value> {
    let points = report["points"].as_array().unwrap();
    points
        .iter()
        .filter(|it| it["verdict"] == "fault")
        .collect()
}

/// The one point with a fault.
#[track_caller]
pub(crate) fn the_fault<'a>(report: &'a Value, id: &str) -> &'a Value {
    let faults = faults(report);
    assert_eq!(faults.len(), 1, "{report:#}");
    assert_eq!(faults[0]["id"], id, "{report:#}");
    faults[0]
}

pub(crate) fn point<'a>(report: &'a Value, id: &str) -> &'a Value {
    let points = report["points"].as_array().unwrap();
    points.iter().find(|it| it["id"] == id).unwrap()
}

pub(crate) fn mend(fault: &Value) -> &str {
    fault["mend"][0]["type"].as_str().unwrap()
}
