//! QEMUs that no toolstack of Xen has started.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::host::{Host, point, the_fault};

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

/// libvirt's QEMU called web1, and its log.
fn libvirts(log: &str) -> Value {
    let host = Host::new();
    host.process(
        7,
        "/usr/bin/qemu-system-x86_64 -name guest=web1 -device vgpu-stub",
        'S',
    );
    host.write("var/log/libvirt/qemu/web1.log", log);
    host.report(&["--vm", "web1"])
}

/// Its log has all starts of the VM, and QEMU's command line before each.
#[test]
fn a_complaint_from_before_the_last_start_is_none() {
    let start = "2026-01-01 10:00:00.000+0000: starting up libvirt version: 9.0.0, qemu version: 7.2.0\n\
                 LC_ALL=C \\\n/usr/bin/qemu-system-x86_64 \\\n-name guest=web1 \\\n\
                 -drive file=/vgpu/web1.img,werror=stop \\\n\
                 -device vgpu-stub,x-error=1\n";
    let complaint = "vgpu-stub: refused write of 4 bytes at BAR0 + 0x400\n";
    for (log, verdict) in [
        (start.to_owned(), "ok"),
        (format!("{start}{complaint}"), "fault"),
        (
            format!("{start}{complaint}2026-01-01 11:00:00.000+0000: shutting down\n{start}"),
            "ok",
        ),
        (
            format!("{start}{complaint}{start}char device redirected to /dev/pts/1\n{complaint}"),
            "fault",
        ),
        (
            format!("-drive file=/vgpu/web1.img,werror=stop \\\n{start}"),
            "ok",
        ),
    ] {
        let report = libvirts(&log);
        assert_eq!(
            point(&report, "log")["verdict"],
            verdict,
            "{log}: {report:#}"
        );
    }
}

/// The log that the doctor's own mend starts an emulator with.
#[test]
fn an_emulator_that_was_started_again_has_a_log_of_several() {
    let ready = "vgpu-stub vfio-user: ready on /run/a.sock\n";
    let complaint = "error: cannot go on\n";
    for (log, verdict) in [
        (format!("{ready}{complaint}{ready}"), "ok"),
        (format!("{ready}{ready}{complaint}"), "fault"),
    ] {
        let host = Host::new();
        let device = "-device vfio-user-pci,socket.type=unix,socket.path=/run/a.sock";
        host.process(
            7,
            &format!("/usr/bin/qemu-system-x86_64 --name web1 {device}"),
            'S',
        );
        host.process(8, "vgpu-stub vfio-user --socket /run/a.sock", 'S');
        fs::create_dir_all(host.path("proc/8/fd")).unwrap();
        symlink("/var/log/vgpu-stub.log", host.path("proc/8/fd/2")).unwrap();
        host.write("var/log/vgpu-stub.log", &log);
        host.write(
            "proc/self/net/unix",
            "0: 00000002 00000000 00010000 0001 01 26340 /run/a.sock\n\
             0: 00000003 00000000 00000000 0001 03 26341 /run/a.sock\n",
        );
        let report = host.report(&["--vm", "web1"]);
        assert_eq!(
            point(&report, "log")["verdict"],
            verdict,
            "{log}: {report:#}"
        );
    }
}

/// Speaks QMP to one client, for a QEMU without any PCI device.
fn monitor(listener: &UnixListener) {
    let (mut stream, _) = listener.accept().unwrap();
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    let mut say = |text: &str| writeln!(stream, "{text}").unwrap();
    say(r#"{"QMP": {"version": {}, "capabilities": []}}"#);
    while let Some(Ok(line)) = lines.next() {
        let request: Value = serde_json::from_str(&line).unwrap();
        say(match request["execute"].as_str().unwrap() {
            "query-version" => r#"{"return": {"qemu": {"major": 9, "minor": 1, "micro": 0}}}"#,
            "query-status" => r#"{"return": {"status": "running"}}"#,
            "qom-list-types" => r#"{"return": [{"name": "vgpu-stub"}]}"#,
            "query-pci" => r#"{"return": []}"#,
            "human-monitor-command" => r#"{"return": ""}"#,
            _ => r#"{"return": {}}"#,
        });
    }
}

/// libvirt, or somebody's script, holds the first one; nobody listens on the second.
#[test]
fn each_of_several_monitors_is_tried() {
    let host = Host::new();
    let [held, dead, free] = ["held", "dead", "free"].map(|name| host.path(name));
    let _held = UnixListener::bind(&held).unwrap();
    drop(UnixListener::bind(&dead).unwrap());
    let listener = UnixListener::bind(&free).unwrap();
    let serves = thread::spawn(move || monitor(&listener));
    let words = format!(
        "/usr/bin/qemu-system-x86_64 --name web1 -qmp tcp:localhost:4444 -qmp unix:{},server -qmp unix:{},server \
         --mon chardev=m,mode=control -chardev socket,id=m,path={}",
        held.display(),
        dead.display(),
        free.display()
    );
    host.process(7, &words, 'S');
    let report = host.report(&["--vm", "web1"]);
    let installed = point(&report, "installed");
    assert_eq!(
        installed["seen"][0], "QEMU 9.1.0 has vgpu-stub",
        "{report:#}"
    );
    serves.join().unwrap();
}
