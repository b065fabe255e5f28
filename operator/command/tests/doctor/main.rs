//! `vgpu-stub doctor` where no bed is to be had: XCP-ng, by stand-ins for its commands; hosts that are too old, sockets
//! that do not answer, users who are not root. All else is found and mended in real VMs, by the test bed.

mod daemon;
mod host;
mod qemu;
mod xl;

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use host::{Host, KIT, THERE, UUID, faults, mend, point, the_fault};

#[test]
fn xcp_ng_by_name_uuid_and_domain() {
    let host = Host::xcp_ng();
    for arguments in [["--vm", "web1"], ["--domid", "5"]] {
        let report = host.report(&arguments);
        assert!(faults(&report).is_empty(), "{report:#}");
        for id in ["installed", "configured", "process", "hypervisor", "log"] {
            assert_eq!(point(&report, id)["verdict"], "ok", "{report:#}");
        }
        let subject = report["subject"].as_str().unwrap();
        assert!(subject.contains(UUID), "{subject}");
    }
    let output = host.run(&["--vm", "nobody"]);
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("there is no VM 'nobody'"), "{said}");
}

/// Domain 5 of this host is then another VM's.
#[test]
fn a_vm_that_another_host_of_the_pool_runs() {
    let host = Host::xcp_ng();
    host.write("resident-on", &format!("{THERE}\n"));
    let output = host.run(&["--vm", "web1"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    let lines = format!(
        "error: VM \"web1\" runs on another host, xcp2\n\
         mend:  run the doctor there; xe host-list uuid={THERE} shows that host\n"
    );
    assert_eq!(said, lines);
    // A domain's number is this host's own.
    host.report(&["--domid", "5"]);
    // What nobody knows is no other host.
    host.write("resident-on", "<not in database>\n");
    host.report(&["--vm", "web1"]);
    host.write("resident-on", &format!("{THERE}\n"));
    host.write("etc/xensource-inventory", "PRODUCT_BRAND='XCP-ng'\n");
    host.report(&["--vm", "web1"]);
}

#[test]
fn xcp_ng_without_the_kit() {
    let host = Host::xcp_ng();
    for part in KIT {
        fs::remove_file(host.path(part)).unwrap();
        let report = host.report(&["--vm", "web1"]);
        let fault = the_fault(&report, "installed");
        let cause = fault["cause"].as_str().unwrap();
        assert!(cause.contains(part), "{cause}");
        assert!(mend(fault).starts_with("rpm --upgrade"), "{fault:#}");
        let enable = format!("vgpu-stub xcp enable {UUID}");
        assert_eq!(fault["mend"][1]["type"], enable.as_str());
        host.program(part, "");
    }
    // One that cannot be run is no better.
    let builder = host.path("usr/lib/xapi/alternatives/xenguest/vgpu-stub");
    fs::set_permissions(builder, fs::Permissions::from_mode(0o644)).unwrap();
    the_fault(&host.report(&["--vm", "web1"]), "installed");
}

#[test]
fn xcp_ng_without_the_platform_key() {
    let host = Host::xcp_ng();
    for value in [None, Some("other\n")] {
        match value {
            None => fs::remove_file(host.path("platform")).unwrap(),
            Some(value) => host.write("platform", value),
        }
        let report = host.report(&["--vm", "web1"]);
        let fault = the_fault(&report, "configured");
        assert_eq!(mend(fault), format!("vgpu-stub xcp enable {UUID}"));
        let start = format!("xe vm-shutdown uuid={UUID} && xe vm-start uuid={UUID}");
        assert_eq!(fault["mend"][1]["type"], start.as_str());
    }
}

/// XAPI alone knows how a VM is configured that does not run; that it does not say is no fault of the VM.
#[test]
fn xcp_ng_and_a_vm_that_does_not_run() {
    let host = Host::xcp_ng();
    let asked = "vm-param-get uuid=77ff36e4-cc89-4e1f-8a63-f762453eeb7b param-name=platform param-key=xenguest";
    for (answer, verdict, cause) in [
        ("echo vgpu-stub", "ok", Value::Null),
        (
            "echo other",
            "fault",
            format!("xe {asked}: other, not vgpu-stub").into(),
        ),
        (
            "echo 'Error: Key xenguest not found in map' >&2; exit 1",
            "fault",
            format!("xe {asked}: not set, not vgpu-stub").into(),
        ),
        (
            "echo 'Lost connection to the server.' >&2; exit 1",
            "not-seen",
            "xe vm-param-get failed: Lost connection to the server.".into(),
        ),
        (
            "sleep 60",
            "not-seen",
            "xe vm-param-get has no end in time".into(),
        ),
    ] {
        let xe = format!(
            "case \"$*\" in\n\
             'vm-list '*) echo {UUID};;\n\
             *' param-name=dom-id') echo -1;;\n\
             '{asked}') {answer};;\n\
             *) exit 1;;\n\
             esac"
        );
        host.program("bin/xe", &xe);
        let report = host.report(&["--vm", UUID]);
        let configured = point(&report, "configured");
        assert_eq!(configured["verdict"], verdict, "{report:#}");
        assert_eq!(configured["cause"], cause, "{report:#}");
        if verdict == "fault" {
            let start = format!("xe vm-start uuid={UUID}");
            assert_eq!(configured["mend"][1]["type"], start.as_str());
        }
    }
}

#[test]
fn xcp_ng_logs_to_syslog_and_another_vms_lines_are_not_ours() {
    let host = Host::xcp_ng();
    let mut log = fs::OpenOptions::new()
        .append(true)
        .open(host.path("var/log/daemon.log"))
        .unwrap();
    writeln!(
        log,
        "Nov 24 11:00:01 host vgpu-stub-xen@5[101]: vgpu-stub: cannot map the page"
    )
    .unwrap();
    let report = host.report(&["--vm", "web1"]);
    let fault = the_fault(&report, "log");
    let cause = fault["cause"].as_str().unwrap();
    assert!(cause.ends_with("cannot map the page"), "{cause}");
}

/// Numbers of domains begin anew when the host starts; the log is kept.
#[test]
fn xcp_ng_and_lines_of_an_earlier_domain_of_this_number() {
    let host = Host::xcp_ng();
    let lines = [
        "vgpu-stub-xen@5[7]: error: there is no domain 5",
        "vgpu-stub-xen@5[7]: error: cannot map its memory for domain 5: no such domain",
        "qemu-dm-5[8]: vgpu-stub: error",
    ];
    for line in lines {
        host.write("var/log/daemon.log", &format!("{line}\n"));
        assert!(faults(&host.report(&["--vm", "web1"])).is_empty(), "{line}");
    }
    for pid in [101, 102] {
        let line = format!("vgpu-stub-xen@5[{pid}]: vgpu-stub: cannot map the page\n");
        host.write("var/log/daemon.log", &line);
        the_fault(&host.report(&["--vm", "web1"]), "log");
    }
    // Whose process is not known, any may be.
    fs::remove_dir_all(host.path("proc/100")).unwrap();
    host.write("var/log/daemon.log", &format!("{}\n", lines[2]));
    the_fault(&host.report(&["--vm", "web1"]), "log");
}

#[test]
fn an_emulator_that_is_gone_or_stopped() {
    let host = Host::xcp_ng();
    host.process(102, "vgpu-stub xen --serving --domid 5", 'T');
    let report = host.report(&["--vm", "web1"]);
    assert_eq!(mend(the_fault(&report, "process")), "kill -CONT 102");
    fs::remove_dir_all(host.path("proc/102")).unwrap();
    fs::remove_dir_all(host.path("proc/101")).unwrap();
    // Another domain's is none of ours.
    host.process(103, "vgpu-stub xen --domid 50", 'S');
    let report = host.report(&["--vm", "web1"]);
    let reboot = format!("xe vm-reboot uuid={UUID}");
    assert_eq!(mend(the_fault(&report, "process")), reboot);
}

#[test]
fn a_xen_that_is_too_old() {
    let host = Host::xcp_ng();
    host.write("sys/hypervisor/version/minor", "11\n");
    the_fault(&host.report(&["--domid", "5"]), "hypervisor");
}

#[test]
fn a_domain_that_xen_has_crashed() {
    let host = Host::xcp_ng();
    host.program("bin/xl", "echo '(XEN) Domain 5 (vcpu#0) crashed on cpu#3:'");
    the_fault(&host.report(&["--domid", "5"]), "hypervisor");
    host.program(
        "bin/xl",
        "echo '(XEN) Domain 50 (vcpu#0) crashed on cpu#3:'",
    );
    assert!(faults(&host.report(&["--domid", "5"])).is_empty());
}

#[test]
fn what_cannot_be_seen_is_no_fault() {
    let host = Host::xcp_ng();
    fs::remove_file(host.path("bin/xl")).unwrap();
    fs::remove_file(host.path("var/log/daemon.log")).unwrap();
    let report = host.report(&["--domid", "5"]);
    for id in ["hypervisor", "log", "config-space"] {
        let point = point(&report, id);
        assert_eq!(point["verdict"], "not-seen", "{point:#}");
        assert!(!point["cause"].as_str().unwrap().is_empty());
        assert!(!mend(point).is_empty(), "{point:#}");
    }
    assert!(faults(&report).is_empty(), "{report:#}");
}

#[test]
fn a_command_that_hangs_is_not_waited_for() {
    let host = Host::xcp_ng();
    host.program("bin/xl", "exec sleep 60");
    let started = Instant::now();
    let report = host.report(&["--domid", "5"]);
    assert!(started.elapsed() < Duration::from_secs(20));
    assert_eq!(point(&report, "hypervisor")["verdict"], "not-seen");
}

/// Who listens and says nothing, or something else.
#[test]
fn a_socket_that_does_not_speak_qmp_is_not_waited_for() {
    let host = Host::new();
    for words in ["", "hello\n", "{\"QMP\": {}}\n"] {
        let path = host.path("socket");
        let listener = UnixListener::bind(&path).unwrap();
        let peer = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(words.as_bytes()).unwrap();
            thread::sleep(Duration::from_secs(4));
        });
        let started = Instant::now();
        let report = host.report(&["--qmp", path.to_str().unwrap()]);
        assert!(started.elapsed() < Duration::from_secs(20), "{words}");
        assert!(faults(&report).is_empty(), "{words}: {report:#}");
        assert_eq!(point(&report, "config-space")["verdict"], "not-seen");
        peer.join().unwrap();
        fs::remove_file(path).unwrap();
    }
}

#[test]
fn what_there_is_not_is_said_at_once() {
    let host = Host::new();
    for (arguments, cause) in [
        (
            &["--qmp", "/nowhere/socket"][..],
            "there is no socket /nowhere/socket",
        ),
        // No mend may be to remove it.
        (&["--qmp", "/etc/passwd"], "this is no socket: /etc/passwd"),
        (&["--control", "/"], "this is no socket: /"),
        (
            &["--control", "/nowhere/socket"],
            "there is no socket /nowhere/socket",
        ),
        (
            &["--vm", "web1"],
            "no QEMU of this host has the name \"web1\"",
        ),
        (&["--domid", "5"], "this is no dom0 of Xen"),
        (&[], "required"),
        (&["--guest", "--vm", "x"], "cannot be used with"),
    ] {
        let output = host.run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains(cause), "{arguments:?}: {said}");
    }
}

/// What a VM logs is shown without what a terminal would obey.
#[test]
fn a_terminal_obeys_no_log() {
    let host = Host::xcp_ng();
    host.write(
        "var/log/daemon.log",
        "qemu-dm-5[100]: vgpu-stub: error \x1b[2J\n",
    );
    let output = host.run(&["--domid", "5"]);
    assert!(!output.stdout.contains(&0x1b));
    assert!(String::from_utf8_lossy(&output.stdout).contains("FAULT     The log"));
}

/// The guest's side as a user who sees the first 64 bytes of config space alone.
#[test]
fn who_is_not_root_is_told_so() {
    let folder = TempDir::new().unwrap();
    let device = folder.path().join("bus/pci/devices/0000:00:05.0");
    fs::create_dir_all(&device).unwrap();
    let mut config = vec![0; 64];
    config[..4].copy_from_slice(&[0xf4, 0x1a, 0x11, 0x11]);
    config[8..12].copy_from_slice(&[1, 0, 0, 0x12]);
    fs::write(device.join("config"), config).unwrap();
    for (name, text) in [
        ("vendor", "0x1af4"),
        ("device", "0x1111"),
        ("class", "0x120000"),
        ("revision", "0x01"),
        ("resource", "0xfebf1000 0xfebf1fff 0x40200"),
    ] {
        fs::write(device.join(name), text).unwrap();
    }
    let output = Command::new(env!("CARGO_BIN_EXE_vgpu-stub"))
        .args([
            "doctor",
            "--guest",
            "--json",
            "--kernel-log",
            "/nowhere",
            "--sysfs",
        ])
        .arg(folder.path())
        .output()
        .unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{report:#}");
    for (id, verdict) in [
        ("pci", "ok"),
        ("device", "ok"),
        ("config-space", "ok"),
        ("ids", "ok"),
        ("class", "ok"),
        ("bar", "not-seen"),
        ("access", "not-seen"),
        ("driver", "ok"),
        ("log", "not-seen"),
    ] {
        assert_eq!(point(&report, id)["verdict"], verdict, "{id}: {report:#}");
    }
    assert!(
        mend(point(&report, "bar")).starts_with("sudo "),
        "{report:#}"
    );
    // The driver that knows the device may have it, and no other.
    for (driver, verdict) in [("vgpu", "ok"), ("pci-stub", "fault")] {
        let link = device.join("driver");
        let _ = fs::remove_file(&link);
        std::os::unix::fs::symlink(format!("../../drivers/{driver}"), link).unwrap();
        let mut doctor = Command::new(env!("CARGO_BIN_EXE_vgpu-stub"));
        doctor.args(["doctor", "--guest", "--json", "--kernel-log", "/nowhere"]);
        let output = doctor.arg("--sysfs").arg(folder.path()).output().unwrap();
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(point(&report, "driver")["verdict"], verdict, "{report:#}");
    }
}
