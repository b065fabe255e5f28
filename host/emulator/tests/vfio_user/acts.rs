//! What a QEMU that an attacker has taken over can do to the server, act by
//! act. `docs/hostile-clients.md` lists them.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, Signal, kill_process, prlimit};
use vfio_user::Client;

use crate::act_list::ACTS;
use crate::attacker::{Attack, lingering, memory};
use crate::bed::{BAR0, Bed, CONFIG, LIMIT, Serving, read, write_and_read};
use crate::raw::Raw;

/// Within which another client has to be served, from its connect to a
/// register that it has written and read.
const SERVED: Duration = Duration::from_secs(1);

/// What all acts together may leave the server with. An allocator keeps some
/// of what it once had.
const GROWTH_KIB: u64 = 8 * 1024;

/// What all acts together may add to the log.
const LOG: usize = 32 * 1024;

/// Another VM's client: it knows nothing of the attacker, and tries once.
fn is_served(bed: &Bed, act: &str) {
    let started = Instant::now();
    let mut client = Client::new(&bed.socket()).unwrap_or_else(|error| panic!("{act}: {error}"));
    assert_eq!(read(&mut client, CONFIG, 0), 0x1111_1af4, "{act}");
    client.region_write(CONFIG, 0x04, &[2, 0]).unwrap();
    // Nothing of the attacker's is left in the device.
    assert_eq!(read(&mut client, BAR0, 0x10), 0, "{act}");
    write_and_read(&mut client, 0x5ec2_e700);
    let took = started.elapsed();
    println!("{took:>12.1?} after one {act}");
    assert!(took < SERVED, "{act}: another client waited for {took:?}");
}

/// Each act, twice; and after each one another client, in time.
#[test]
fn each_act_leaves_the_server_to_others() {
    assert!(ACTS.len() >= 30);
    let bed = Bed::new();
    let log = bed.0.path().join("log");
    let stderr = File::create(&log).unwrap();
    let server = Serving::start(bed.command().stderr(stderr));
    // As systemd starts it, and a shell.
    let usual = Rlimit {
        current: Some(1024),
        maximum: Some(1024),
    };
    prlimit(Some(server.pid()), Resource::Nofile, usual).unwrap();
    let mut before = None;
    for round in 0..2 {
        for (act, attack) in ACTS {
            let mut attacker = Attack {
                bed: &bed,
                server: &server,
                kept: Vec::new(),
            };
            attack(&mut attacker);
            is_served(&bed, act);
            drop(attacker);
            let settled = Instant::now();
            // The most that it ever had at rest, once it has been through all.
            while before.is_some_and(|(_, most)| server.descriptors() > most) {
                assert!(settled.elapsed() < LIMIT, "{act}: descriptors are left");
                thread::sleep(Duration::from_millis(5));
            }
        }
        if round == 0 {
            thread::sleep(Duration::from_millis(500));
            before = Some((server.memory(), server.descriptors()));
        }
    }
    let (memory_before, _) = before.unwrap();
    let memory = server.memory();
    println!("memory: {memory_before} KiB, then {memory} KiB");
    assert!(
        memory < memory_before + GROWTH_KIB,
        "{memory_before} to {memory} KiB"
    );
    assert_eq!(server.end_without_log(Signal::TERM), Some(0));
    let log = fs::read_to_string(log).unwrap();
    println!("log: {} bytes", log.len());
    assert!(log.len() < LOG, "{log}");
}

/// The table of the book has these acts, in this order, and no others.
#[test]
fn the_book_lists_the_acts() {
    let book = include_str!("../../../../docs/hostile-clients.md");
    let rows = book.lines().filter_map(|line| line.strip_prefix("| "));
    let listed: Vec<_> = rows
        .filter_map(|row| row.split_once(" | "))
        .filter(|(number, _)| number.parse::<u32>().is_ok())
        .map(|(_, row)| row.split(" | ").next().unwrap())
        .collect();
    let acts: Vec<_> = ACTS.iter().map(|(act, _)| *act).collect();
    assert_eq!(listed, acts);
}

/// A server most of whose threads hang ends with an error, as its unit starts
/// it anew: once no VM has the device, and not before.
#[test]
fn a_server_whose_threads_hang_ends_to_be_started_anew() {
    let bed = Bed::new();
    let mut server = bed.serve(&[]);
    let mut vm = Raw::begun(&bed.socket());
    // All of them at once: a signal would end a close that hangs.
    server.pause();
    let _others: Vec<_> = (0..7)
        .map(|_| {
            let mut client = Raw::connect(&bed.socket());
            let (socket, other) = lingering();
            client.propose();
            client.send(&[0], &[socket.as_fd()]).unwrap();
            other
        })
        .collect();
    kill_process(server.pid(), Signal::CONT).unwrap();
    thread::sleep(Duration::from_millis(3500));
    // They wait, and the VM is served.
    let mut waiting: Vec<_> = (0..12).map(|_| Raw::connect(&bed.socket())).collect();
    thread::sleep(Duration::from_millis(200));
    assert_eq!(vm.ask(crate::raw::RESET, &[], &[]).unwrap(), 0);
    drop(vm);
    // The last place is free now. Those who say nothing take it in turn.
    let started = Instant::now();
    while let Ok(client) = UnixStream::connect(bed.socket()) {
        assert!(started.elapsed() < LIMIT, "it goes on");
        waiting.push(Raw(client));
        thread::sleep(Duration::from_millis(5));
    }
    let (code, log) = server.ended();
    assert_eq!(code, Some(2), "{log}");
    assert!(
        log.contains("error: file descriptors that clients have sent cannot be closed"),
        "{log}"
    );
    assert!(log.contains("mend:  start this server again"), "{log}");
    assert_eq!(bed.files(), 0);
    drop(waiting);
    let _again = bed.serve(&[]);
    is_served(&bed, "after the end");
}

/// Nothing of a client's memory is ever mapped, so that no client can have the
/// server die of SIGBUS.
#[test]
fn a_client_s_memory_is_not_mapped() {
    let bed = Bed::new();
    let mut command = bed.command();
    let server = Serving::start(command.stderr(Stdio::inherit()));
    let mut client = Raw::begun(&bed.socket());
    let memory = memory(0x10_0000);
    let map = crate::raw::dma_map(0, 0x10_0000);
    let mapped = client.ask(crate::raw::DMA_MAP, &map, &[memory.as_fd()]);
    assert_eq!(mapped.unwrap(), 0);
    let files = fs::read_dir(format!("/proc/{}/fd", server.pid())).unwrap();
    let mut names = files.map(|file| fs::read_link(file.unwrap().path()).unwrap());
    assert!(names.any(|name| name.to_string_lossy().contains("guest-memory")));
    let maps = File::open(format!("/proc/{}/maps", server.pid())).unwrap();
    let mut lines = BufReader::new(maps).lines().map(Result::unwrap);
    assert!(!lines.any(|line| line.contains("guest-memory")));
}
