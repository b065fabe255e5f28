//! A system that gives the server less than it needs: descriptors, memory, a
//! log. It starts or says why it cannot; once it runs, its guest is answered.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::process::{Command, Output, Stdio};
use std::time::Instant;

use rustix::process::{Resource, Rlimit, Signal, getrlimit, kill_process, prlimit};

use crate::attacker::lingering;
use crate::bed::{BAR0, Bed, CONFIG, LIMIT, Serving, connect, read, write_and_read};
use crate::raw::Raw;

/// What a server does that starts within a limit of the shell's `ulimit`: it
/// ends by itself, or it is ready and then told to end.
fn start_within(bed: &Bed, limit: &str) -> Output {
    let server = bed.command();
    let mut shell = Command::new("sh");
    // It writes to the end of the shell's own descriptors.
    let script = format!(
        "ulimit {limit} && \"$@\" & server=$!
        (sleep 0.3; kill $server 2>/dev/null) & wait $server"
    );
    shell
        .args(["-c", &script, "sh"])
        .arg(server.get_program())
        .args(server.get_args())
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// Each limit is enough, or the server says what it lacks and leaves nothing.
fn starts_or_says_why(limits: impl Iterator<Item = String>, enough: &str) {
    let mut refused = 0;
    let bed = Bed::new();
    for limit in limits {
        let output = start_within(&bed, &limit);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!said.contains("panicked"), "{limit}: {said}");
        if output.status.success() {
            assert!(!output.stdout.is_empty(), "{limit}: {said}");
            continue;
        }
        refused += 1;
        // Where there is not even memory to start a program, the shell says so.
        if output.status.code() == Some(2) {
            assert!(said.contains("error: "), "{limit}: {said}");
            assert!(said.contains("mend:  "), "{limit}: {said}");
        }
        assert_eq!(bed.files(), 0, "{limit}: {said}");
    }
    assert_ne!(refused, 0, "no limit was low enough");
    let output = start_within(&bed, enough);
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn few_descriptors_at_the_start() {
    starts_or_says_why((3..16).map(|files| format!("-n {files}")), "-n 32");
}

#[test]
fn little_memory_at_the_start() {
    starts_or_says_why(
        (0..16).map(|step| format!("-v {}", 1000 + 600 * step)),
        "-v 65536",
    );
}

/// Has a server no more of `resource` than `limit`, while `act` runs.
fn limited(server: &Serving, resource: Resource, limit: u64, act: impl FnOnce()) {
    /// A limit that the server has set itself, in bytes of addresses, is not
    /// everybody's to raise.
    const OWN: u64 = 1 << 30;
    let most = getrlimit(resource).maximum;
    let limit = Rlimit {
        current: Some(limit),
        maximum: Some(most.map_or(OWN, |most| most.min(OWN))),
    };
    let before = prlimit(Some(server.pid()), resource, limit).unwrap();
    act();
    prlimit(Some(server.pid()), resource, before).unwrap();
}

/// A guest that is connected needs no memory, nor does it to turn another
/// client away.
#[test]
fn no_memory_any_more() {
    const ACCESSES: u32 = 5000;
    let bed = Bed::new();
    let server = bed.serve(&[]);
    let mut client = connect(&bed.socket());
    client.region_write(CONFIG, 0x04, &[2, 0]).unwrap();
    limited(&server, Resource::As, 0, || {
        for number in 0..ACCESSES {
            write_and_read(&mut client, number);
        }
        assert!(vfio_user::Client::new(&bed.socket()).is_err());
        assert_eq!(read(&mut client, BAR0, 0x10), ACCESSES - 1);
    });
    let (code, log) = server.end(Signal::TERM);
    assert_eq!(code, Some(0));
    assert!(log.contains("turned a client away"), "{log}");
}

/// Nor does the thread that all others need close what such a client has sent,
/// which may hang.
#[test]
fn no_thread_for_a_client_whose_descriptors_hang() {
    let bed = Bed::new();
    let server = bed.serve(&[]);
    let mut client = connect(&bed.socket());
    limited(&server, Resource::As, 0, || {
        server.pause();
        let mut other = Raw::connect(&bed.socket());
        let (socket, _peer) = lingering();
        other.send(&[0], &[socket.as_fd()]).unwrap();
        drop(socket);
        kill_process(server.pid(), Signal::CONT).unwrap();
        other.ends();
        // This one is turned away after that one.
        Raw::connect(&bed.socket()).ends();
        assert_eq!(read(&mut client, CONFIG, 0), 0x1111_1af4);
    });
    let (code, _) = server.end(Signal::TERM);
    assert_eq!(code, Some(0));
}

/// The server with this for its standard error, all accesses traced, serves a
/// guest and ends in order.
fn serves_with_log(log: impl Into<Stdio>) {
    const ACCESSES: u32 = 5000;
    let bed = Bed::new();
    let server = Serving::start(bed.command().args(["--trace", "access"]).stderr(log));
    let mut client = connect(&bed.socket());
    client.region_write(CONFIG, 0x04, &[2, 0]).unwrap();
    let started = Instant::now();
    for number in 0..ACCESSES {
        write_and_read(&mut client, number);
    }
    assert!(started.elapsed() < LIMIT, "{:?}", started.elapsed());
    assert_eq!(server.end_without_log(Signal::TERM), Some(0));
    assert_eq!(bed.files(), 0);
}

#[test]
fn a_log_on_a_full_disk() {
    serves_with_log(File::options().write(true).open("/dev/full").unwrap());
}

#[test]
fn a_log_that_nobody_reads_any_more() {
    let (reader, writer) = io::pipe().unwrap();
    drop(reader);
    serves_with_log(writer);
}

#[test]
fn a_log_whose_reader_is_stuck() {
    /// A pipe's size, unless it is given another.
    const SIZE: usize = 64 << 10;
    let (reader, mut writer) = io::pipe().unwrap();
    writer.write_all(&[b'\n'; SIZE]).unwrap();
    serves_with_log(writer);
    drop(reader);
}
