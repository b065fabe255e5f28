//! QEMUs that no toolstack of Xen has started.

use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::host::{Host, the_fault};

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
