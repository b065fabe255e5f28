//! The daemon behind a device with features: on a made-up host, with a daemon that is a socket of this test's.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixListener;
use std::thread;

use serde_json::{Value, json};

use super::host::{Host, UUID, faults, mend, point, the_fault};

const LISTENS: &str = "0: 00000002 00000000 00010000 0005 01 26350 /run/vgpu/link\n";
const SERVED: &str = "0: 00000002 00000000 00010000 0001 01 26340 /run/a.sock\n\
                      0: 00000003 00000000 00000000 0001 03 26341 /run/a.sock\n";
const QEMU: u32 = 7;
const DAEMON: u32 = 9;
const SHARED: &str = "-object memory-backend-memfd,id=ram,size=4G,share=on";

/// A VM with a served device that has features, all of which is well, without the daemon's control socket.
fn host() -> Host {
    let host = Host::new();
    qemu(&host, SHARED);
    let server = format!(
        "vgpu-stub vfio-user --socket /run/a.sock --device features=on --link /run/vgpu/link --machine {UUID}"
    );
    host.process(8, &server, 'S');
    daemon(&host, 'S');
    host.write("proc/self/net/unix", &format!("{SERVED}{LISTENS}"));
    host
}

fn qemu(host: &Host, memory: &str) {
    let device = "-device vfio-user-pci,socket.type=unix,socket.path=/run/a.sock";
    let words = format!("/usr/bin/qemu-system-x86_64 -name web1 {memory} {device}");
    host.process(QEMU, &words, 'S');
}

fn daemon(host: &Host, state: char) {
    let words = "/usr/bin/vgpud link --config /etc/vgpu/link.toml --socket /run/vgpu/link --control /run/vgpu/vgpud";
    host.process(DAEMON, words, state);
}

/// The report, where the daemon says this of its machines.
fn report(host: &Host, machines: &Value) -> Value {
    let path = host.path("run/vgpu/vgpud");
    host.write("run/vgpu/other", "");
    let _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(&path).unwrap();
    let answer = json!({ "status": { "up_ns": 1, "engines": [], "machines": machines } });
    let serves = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut asked = String::new();
        BufReader::new(stream.try_clone().unwrap())
            .read_line(&mut asked)
            .unwrap();
        writeln!(stream, "{answer}").unwrap();
        asked
    });
    let report = host.report(&["--vm", "web1"]);
    assert_eq!(serves.join().unwrap(), "{\"do\":\"status\"}\n");
    report
}

/// What `vgpu status --json` has of a machine.
fn machine() -> Value {
    json!({
        "machine": UUID, "pool": "default", "weight": 100, "priority": "Medium", "quarantined": false,
        "memory_used": 3 << 20, "memory_quota": 1 << 30, "sessions_most": 2, "resets": 0, "sessions_ended": 5,
        "work": {}, "sessions": [{ "channel": 0 }],
    })
}

fn with(changes: Value) -> Value {
    let mut machine = machine();
    let (Value::Object(all), Value::Object(changes)) = (&mut machine, changes) else {
        panic!("no objects");
    };
    all.extend(changes);
    json!([with_uuid("00000000-0000-0000-0000-000000000001"), machine])
}

fn with_uuid(uuid: &str) -> Value {
    let mut machine = machine();
    machine["machine"] = uuid.into();
    // Another's trouble is none of this VM's.
    machine["quarantined"] = true.into();
    machine
}

#[test]
fn a_machine_that_is_served_is_well() {
    let report = report(&host(), &with(json!({})));
    assert!(faults(&report).is_empty(), "{report:#}");
    for id in ["shared-memory", "daemon", "admitted"] {
        assert_eq!(point(&report, id)["verdict"], "ok", "{report:#}");
        assert!(
            !point(&report, id)["seen"].as_array().unwrap().is_empty(),
            "{id}"
        );
    }
}

#[test]
fn a_machine_that_the_daemon_refuses_has_the_cause_and_the_mend() {
    for (changes, cause, mended) in [
        (
            json!({ "quarantined": true }),
            "is in quarantine",
            format!("vgpu quarantine --end {UUID} --control /run/vgpu/vgpud"),
        ),
        (
            json!({ "sessions": [{ "channel": 0 }, { "channel": 1 }] }),
            "as many sessions as it may have: 2",
            "editor /etc/vgpu/link.toml  # channels".to_owned(),
        ),
        (
            json!({ "memory_used": (1 << 30) - 4096 }),
            "used up its device memory",
            "editor /etc/vgpu/link.toml  # device-memory-mib".to_owned(),
        ),
        (
            json!({ "machine": "00000000-0000-0000-0000-000000000002" }),
            "has not let machine",
            "printf".to_owned(),
        ),
    ] {
        let report = report(&host(), &with(changes));
        let fault = the_fault(&report, "admitted");
        assert!(
            fault["cause"].as_str().unwrap().contains(cause),
            "{fault:#}"
        );
        assert!(mend(fault).starts_with(&mended), "{fault:#}");
    }
    // An older daemon does not say how many there may be; no quota is none.
    let mut older = machine();
    older.as_object_mut().unwrap().remove("sessions_most");
    older["memory_quota"] = Value::Null;
    assert!(faults(&report(&host(), &json!([older]))).is_empty());
}

#[test]
fn the_daemon_that_does_not_run_or_is_stopped() {
    let host = host();
    daemon(&host, 'T');
    let stopped = host.report(&["--vm", "web1"]);
    assert_eq!(
        mend(the_fault(&stopped, "daemon")),
        format!("kill -CONT {DAEMON}")
    );
    assert_eq!(point(&stopped, "admitted")["verdict"], "not-seen");
    std::fs::remove_dir_all(host.path(&format!("proc/{DAEMON}"))).unwrap();
    host.write("proc/self/net/unix", SERVED);
    let gone = host.report(&["--vm", "web1"]);
    let fault = the_fault(&gone, "daemon");
    assert!(
        fault["cause"]
            .as_str()
            .unwrap()
            .starts_with("no vgpud listens on /run/vgpu/link"),
        "{fault:#}"
    );
    assert!(
        mend(fault).starts_with("vgpud link --socket /run/vgpu/link"),
        "{fault:#}"
    );
}

/// Who may not ask it sees less, and is told so.
#[test]
fn a_daemon_that_does_not_answer_is_no_fault() {
    let report = host().report(&["--vm", "web1"]);
    let admitted = point(&report, "admitted");
    assert_eq!(admitted["verdict"], "not-seen", "{report:#}");
    assert!(mend(admitted).starts_with("sudo "), "{report:#}");
    assert!(faults(&report).is_empty(), "{report:#}");
}

/// By QEMU's command line, where its monitor is another's, as libvirt's is.
#[test]
fn memory_that_is_private_to_qemu() {
    for memory in [
        "-m 4G",
        "-object memory-backend-memfd,id=ram,size=4G,share=off",
    ] {
        let host = host();
        qemu(&host, memory);
        let report = host.report(&["--vm", "web1"]);
        let fault = the_fault(&report, "shared-memory");
        assert!(
            mend(fault).starts_with("-object memory-backend-memfd"),
            "{fault:#}"
        );
        assert_eq!(fault["mend"][0]["on"], "qemu-arguments");
    }
}

/// A device without features has no daemon, and needs no shared memory of the guest's own.
#[test]
fn a_device_without_features_needs_none_of_it() {
    let host = host();
    qemu(&host, "-m 4G");
    host.process(
        8,
        "vgpu-stub vfio-user --socket /run/a.sock --device bar0-size=64K",
        'S',
    );
    host.write("proc/self/net/unix", SERVED);
    let report = host.report(&["--vm", "web1"]);
    assert!(faults(&report).is_empty(), "{report:#}");
}
