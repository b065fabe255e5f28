//! `vgpu-stub doctor` where no bed is to be had: XCP-ng, by stand-ins for its commands; hosts that are too old, sockets
//! that do not answer, users who are not root. All else is found and mended in real VMs, by the test bed.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

const UUID: &str = "77ff36e4-cc89-4e1f-8a63-f762453eeb7b";

/// The host of XCP-ng, and another of its pool, as XAPI names them.
const HERE: &str = "0e0f4b2c-9a4b-4c87-8d1f-4b3f3f0c7a01";
const THERE: &str = "5d1c2a90-3f6e-4f0b-a0c2-2f7e9b6d5c02";

/// The files that a host of XCP-ng needs for a VM with the device.
const KIT: [&str; 7] = [
    "usr/bin/vgpu-stub",
    "usr/lib/xapi/alternatives/xenguest/vgpu-stub",
    "usr/lib/systemd/system/vgpu-stub-xen@.service",
    "etc/xapi.d/vm-pre-start/50-vgpu-stub",
    "etc/xapi.d/vm-post-destroy/50-vgpu-stub",
    "etc/xapi.d/plugins/vgpu-stub",
    "usr/libexec/xen/bin/xenguest",
];

/// A made-up host: files below a folder, and commands in `bin`.
struct Host {
    folder: TempDir,
}

impl Host {
    fn new() -> Self {
        let host = Self {
            folder: TempDir::new().unwrap(),
        };
        fs::create_dir_all(host.path("proc/self/net")).unwrap();
        fs::create_dir_all(host.path("bin")).unwrap();
        host
    }

    /// A dom0 of XCP-ng 8.3 with the kit, and a VM called web1 that runs as domain 5.
    fn xcp_ng() -> Self {
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
             'host-list uuid={THERE} params=name-label --minimal') echo xcp2;;\n\
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

    fn dom0() -> Self {
        let host = Self::new();
        host.write("proc/xen/capabilities", "control_d\n");
        host.write("sys/hypervisor/version/major", "4\n");
        host.write("sys/hypervisor/version/minor", "17\n");
        host
    }

    fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Written by another process: see `install` in check.rs.
    fn program(&self, path: &str, script: &str) {
        self.write("script", &format!("#!/bin/sh\n{script}\n"));
        let to = self.path(path);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        let mut install = Command::new("install");
        let status = install
            .arg("--mode=755")
            .args([self.path("script"), to])
            .status();
        assert!(status.unwrap().success());
    }

    fn process(&self, pid: u32, words: &str, state: char) {
        self.write(
            &format!("proc/{pid}/cmdline"),
            &(words.replace(' ', "\0") + "\0"),
        );
        self.write(&format!("proc/{pid}/stat"), &format!("{pid} (x) {state} 1"));
    }

    fn run(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_vgpu-stub"))
            .args(["doctor", "--timeout", "2", "--root"])
            .arg(self.folder.path())
            .args(arguments)
            .env(
                "PATH",
                format!("{}:/usr/bin:/bin", self.path("bin").display()),
            )
            .output()
            .unwrap()
    }

    /// The report, whose exit code is right.
    fn report(&self, arguments: &[&str]) -> Value {
        let arguments = [arguments, &["--json"]].concat();
        let output = self.run(&arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let report: Value = serde_json::from_slice(&output.stdout).expect(&said);
        let code = i32::from(report["well"] != true);
        assert_eq!(output.status.code(), Some(code), "{report:#}");
        report
    }
}

fn faults(report: &Value) -> Vec<&Value> {
    let points = report["points"].as_array().unwrap();
    points
        .iter()
        .filter(|it| it["verdict"] == "fault")
        .collect()
}

/// The one point with a fault.
#[track_caller]
fn the_fault<'a>(report: &'a Value, id: &str) -> &'a Value {
    let faults = faults(report);
    assert_eq!(faults.len(), 1, "{report:#}");
    assert_eq!(faults[0]["id"], id, "{report:#}");
    faults[0]
}

fn point<'a>(report: &'a Value, id: &str) -> &'a Value {
    let points = report["points"].as_array().unwrap();
    points.iter().find(|it| it["id"] == id).unwrap()
}

fn mend(fault: &Value) -> &str {
    fault["mend"][0]["type"].as_str().unwrap()
}

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
    assert!(said.contains("there is no VM called \"nobody\""), "{said}");
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

/// libxl's JSON, as `xl list -l` of Xen 4.20 printed it, shortened.
#[test]
fn xl_and_a_domain_that_is_not_hvm() {
    let host = Host::dom0();
    host.program("usr/lib/vgpu-stub/vgpu-stub-device-model", "");
    host.program("usr/libexec/xen-qemu-system-i386", "");
    let xl = |kind: &str| {
        format!(
            "case \"$*\" in\n\
             'domid vm') echo 7;;\n\
             'list -l vm') echo '[{{\"domid\":7,\"config\":{{\"c_info\":{{\"type\":\"{kind}\"}},\
             \"b_info\":{{\"device_model\":\"/usr/lib/vgpu-stub/vgpu-stub-device-model\",\
             \"extra\":[\"-device\",\"vgpu-stub,addr=0x10,bar0-size=64K\"]}}}}}}]';;\n\
             *) echo;;\nesac"
        )
    };
    host.program("bin/xl", &xl("hvm"));
    let report = host.report(&["--vm", "vm"]);
    assert_eq!(point(&report, "configured")["verdict"], "ok");
    // The emulator is started as xl would.
    let start = "vgpu-stub xen --domid 7 --device slot=0x10,bar0-size=64K ";
    assert!(
        mend(the_fault(&report, "process")).contains(start),
        "{report:#}"
    );
    host.program("bin/xl", &xl("pvh"));
    let report = host.report(&["--vm", "vm"]);
    let fault = faults(&report)[0];
    assert_eq!(fault["id"], "configured");
    assert!(
        fault["cause"].as_str().unwrap().contains("pvh"),
        "{fault:#}"
    );
}

/// xl takes the name as it is; a shell does not.
#[test]
fn a_paused_domain_whose_name_has_a_space() {
    let host = Host::dom0();
    host.program("usr/lib/vgpu-stub/vgpu-stub-device-model", "");
    host.program("usr/libexec/xen-qemu-system-i386", "");
    host.process(101, "vgpu-stub xen --domid 7", 'S');
    host.process(102, "vgpu-stub xen --serving --domid 7", 'S');
    let config = r#"[{"domid":7,"config":{"c_info":{"type":"hvm"},"b_info":{
        "device_model":"/usr/lib/vgpu-stub/vgpu-stub-device-model",
        "extra":["-device","vgpu-stub"]}}}]"#;
    host.write("config", config);
    let xl = format!(
        "case \"$*\" in\n\
         'domid my vm') echo 7;;\n\
         'list -l my vm') cat {};;\n\
         'list my vm') echo 'Name ID Mem VCPUs State Time(s)'; echo 'my vm 7 512 1 --p--- 1.0';;\n\
         dmesg) echo '(XEN) all is well';;\n\
         *) exit 1;;\nesac",
        host.path("config").display()
    );
    host.program("bin/xl", &xl);
    let report = host.report(&["--vm", "my vm"]);
    assert_eq!(
        mend(the_fault(&report, "guest-kernel")),
        "xl unpause 'my vm'"
    );
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

/// The mends for a QEMU that its server does not know.
fn lost_by_its_server(host: &Host, pid: u32, words: &str) -> Vec<String> {
    let device = "-device vfio-user-pci,socket.type=unix,socket.path=/run/a.sock";
    host.process(pid, &format!("{words} {device}"), 'S');
    host.write(
        "proc/self/net/unix",
        "0: 00000002 00000000 00010000 0001 01 26340 /run/a.sock\n",
    );
    let report = host.report(&["--vm", "web1"]);
    let mends = the_fault(&report, "process")["mend"].as_array().unwrap();
    let line = |mend: &Value| mend["type"].as_str().unwrap().to_owned();
    mends.iter().map(line).collect()
}

/// Its QEMU has descriptors and secrets of libvirt's: the arguments alone start it no more.
#[test]
fn libvirt_starts_its_vm_itself() {
    for words in [
        "/usr/bin/qemu-system-x86_64 -name guest=web1,debug-threads=on -S",
        "/usr/bin/qemu-system-x86_64 -name web1 -chardev socket,id=m,path=/var/lib/libvirt/qemu/m",
        "/usr/bin/qemu-system-x86_64 -name web1 -chardev socket,id=m,path=/run/libvirt/qemu/m",
    ] {
        let mends = lost_by_its_server(&Host::new(), 7, words);
        let start = "virsh start web1  # once it is off";
        assert_eq!(mends, ["virsh shutdown web1", start], "{words}");
    }
}

/// The old one has what the new one needs, such as the lock of its disk.
#[test]
fn another_qemu_is_started_when_the_old_one_has_ended() {
    let host = Host::new();
    let lock = host.path("lock");
    let script = "trap 'sleep 1; rm \"$0\"; exit' TERM; echo >\"$0\"; while :; do sleep 0.1; done";
    let mut old = Command::new("sh");
    let mut old = old.args(["-c", script]).arg(&lock).spawn().unwrap();
    let pid = old.id();
    let ended = thread::spawn(move || old.wait());
    let deadline = Instant::now() + Duration::from_secs(20);
    while !lock.exists() {
        assert!(Instant::now() < deadline);
        thread::sleep(Duration::from_millis(10));
    }
    host.program("new", &format!("[ ! -e {} ] && echo well", lock.display()));
    let words = format!("{} -name web1", host.path("new").display());
    let mends = lost_by_its_server(&host, pid, &words);
    assert_eq!(mends.len(), 1, "{mends:?}");
    let typed = Command::new("sh").args(["-c", &mends[0]]).output().unwrap();
    assert_eq!(
        String::from_utf8_lossy(&typed.stdout),
        "well\n",
        "{mends:?}"
    );
    ended.join().unwrap().unwrap();
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
}
