//! Who may not have the device, and who has it as the server ends. Each reads
//! the end of file, and never `ECONNRESET`, on which QEMU 11.1 aborts.

use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Signal, kill_process};
use vgpu_control::Client;

use crate::bed::{Bed, CONFIG, LIMIT, connect, read};
use crate::raw::Raw;

const EBUSY: u32 = 16;

#[test]
fn a_second_client_hears_that_the_device_is_busy() {
    let bed = Bed::new();
    let server = bed.serve(&[]);
    let mut first = connect(&bed.socket());
    let mut second = Raw::connect(&bed.socket());
    second.propose();
    assert_eq!(second.errno(), EBUSY);
    assert_eq!(second.ends(), 0);
    assert_eq!(read(&mut first, CONFIG, 0), 0x1111_1af4);
    let (code, log) = server.end(Signal::TERM);
    assert_eq!(code, Some(0));
    let said = "vgpu-stub: turned a client away: another VM has the device\n";
    assert!(log.contains(said), "{log}");
}

/// Clients that say nothing hold up neither the others nor the end.
#[test]
fn silent_clients_hold_nobody_up() {
    let bed = Bed::new();
    let control = bed.control();
    let server = bed.serve(&["--control", control.to_str().unwrap()]);
    let silent = || -> Vec<_> { (0..20).map(|_| Raw::connect(&bed.socket())).collect() };
    let mut early = silent();
    let mut first = connect(&bed.socket());
    let descriptors = server.descriptors();
    let mut late = silent();
    let mut host = Client::connect(&control, LIMIT).unwrap();
    assert!(host.info(0).unwrap().connected);
    drop(host);
    assert_eq!(read(&mut first, CONFIG, 0), 0x1111_1af4);
    // One that asks is answered at once, as the others give way.
    let started = Instant::now();
    assert_eq!(Raw::connect(&bed.socket()).begin().unwrap(), EBUSY);
    assert!(started.elapsed() < LIMIT / 10, "{:?}", started.elapsed());
    // All are closed, in order, whether somebody waits or not.
    for client in early.iter_mut().chain(&mut late) {
        assert_eq!(client.ends(), 0);
    }
    // Their end of file comes a moment before the server has done with them.
    while server.descriptors() > descriptors {
        assert!(started.elapsed() < LIMIT);
        thread::sleep(Duration::from_millis(10));
    }
    let _silent = Raw::connect(&bed.socket());
    let started = Instant::now();
    assert_eq!(server.end(Signal::TERM).0, Some(0));
    assert!(started.elapsed() < Duration::from_millis(900));
}

/// A client that comes right after the last one has gone waits for a moment.
#[test]
fn the_next_client_is_not_turned_away() {
    const TIMES: u32 = 150;
    let bed = Bed::new();
    let server = bed.serve(&[]);
    for _ in 0..TIMES {
        let mut client = Raw::connect(&bed.socket());
        assert_eq!(client.begin().unwrap(), 0);
        // It is busy with what the last one has left behind.
        client.write_without_reply(200);
    }
    let (_, log) = server.end(Signal::TERM);
    assert!(!log.contains("turned a client away"), "{log}");
}

/// One that has the device and has sent more than was received, one that is
/// turned away, and one that is not accepted yet.
#[test]
fn all_clients_see_an_end_in_order() {
    let bed = Bed::new();
    let mut server = bed.serve(&[]);
    let mut first = Raw::connect(&bed.socket());
    first.propose();
    assert_eq!(first.errno(), 0);
    let mut refused = Raw::connect(&bed.socket());
    // It is accepted before the one that hears.
    let mut heard = Raw::connect(&bed.socket());
    heard.propose();
    assert_eq!(heard.errno(), EBUSY);

    server.pause();
    first.flood();
    refused.propose();
    let mut waiting = Raw::connect(&bed.socket());
    waiting.propose();
    kill_process(server.pid(), Signal::TERM).unwrap();
    kill_process(server.pid(), Signal::CONT).unwrap();
    assert_eq!(server.ended().0, Some(0));
    assert_eq!(first.ends(), 0);
    refused.ends();
    heard.ends();
    waiting.ends();
}
