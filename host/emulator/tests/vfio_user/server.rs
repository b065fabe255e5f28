//! `vgpu-emulator vfio-user` as a process: its start and its end, its sockets, and
//! clients that want to harm it.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, Signal, getrlimit, prlimit};

use crate::bed::{BAR0, Bed, CONFIG, LIMIT, Serving, connect, read, write_and_read};

#[test]
fn each_signal_ends_it_in_order() {
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        let bed = Bed::new();
        let control = bed.control();
        let server = bed.serve(&["--control", control.to_str().unwrap()]);
        let mode = |path: &Path| {
            let metadata = fs::metadata(path).unwrap();
            assert!(metadata.file_type().is_socket());
            metadata.permissions().mode() & 0o777
        };
        assert_eq!((mode(&bed.socket()), mode(&control)), (0o600, 0o600));
        let mut client = connect(&bed.socket());
        assert_eq!(read(&mut client, CONFIG, 0), 0x1111_1af4);
        let (code, log) = server.end(signal);
        assert_eq!(code, Some(0));
        assert_eq!(log, "vgpu-stub: client connected\nvgpu-stub: client left\n");
        assert_eq!(bed.files(), 0);
        assert!(client.reset().is_err());
    }
}

#[test]
fn the_device_is_as_its_options_say() {
    let bed = Bed::new();
    let properties =
        "vendor-id=0x5853,device-id=0xc201,subsystem-id=0x0102,revision=7,bar0-size=64K";
    let _server = bed.serve(&["--device", properties, "--socket-mode", "0660"]);
    let mode = fs::metadata(bed.socket()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
    let mut client = connect(&bed.socket());
    assert_eq!(read(&mut client, CONFIG, 0x00), 0xc201_5853);
    assert_eq!(read(&mut client, CONFIG, 0x08), 0x1200_0007);
    assert_eq!(read(&mut client, CONFIG, 0x2c), 0x0102_1af4);
    assert_eq!(client.region(BAR0).unwrap().size, 65536);
    assert_eq!(client.region(CONFIG).unwrap().size, 4096);
    // Past what the model implements there is nothing, to the last byte.
    assert_eq!(read(&mut client, CONFIG, 0x100), 0);
    assert_eq!(read(&mut client, CONFIG, 0xffc), 0);
    client.region_write(CONFIG, 0xffc, &[0xff; 4]).unwrap();
    assert_eq!(read(&mut client, CONFIG, 0xffc), 0);
}

/// BAR0 answers while the guest lets it.
#[test]
fn bar0_needs_memory_decode() {
    let bed = Bed::new();
    let _server = bed.serve(&[]);
    let mut client = connect(&bed.socket());
    assert_eq!(read(&mut client, BAR0, 0x10), u32::MAX);
    client.region_write(BAR0, 0x10, &[1; 4]).unwrap();
    client.region_write(CONFIG, 0x04, &[2, 0]).unwrap();
    assert_eq!(read(&mut client, BAR0, 0x10), 0);
    client.region_write(BAR0, 0x10, &[1; 4]).unwrap();
    assert_eq!(read(&mut client, BAR0, 0x10), 0x0101_0101);
    // A function level reset takes it away, a restored Command brings it back.
    client.region_write(CONFIG, 0x48, &[0, 0x80]).unwrap();
    assert_eq!(read(&mut client, BAR0, 0x10), u32::MAX);
    client.region_write(CONFIG, 0x04, &[2, 0]).unwrap();
    assert_eq!(read(&mut client, BAR0, 0x10), 0);
    client.reset().unwrap();
    assert_eq!(read(&mut client, BAR0, 0x10), u32::MAX);
}

#[test]
fn systemd_hears_when_it_is_ready() {
    let bed = Bed::new();
    let path = bed.0.path().join("notify");
    let notified = UnixDatagram::bind(&path).unwrap();
    notified.set_read_timeout(Some(LIMIT)).unwrap();
    let server = Serving::start(bed.command().env("NOTIFY_SOCKET", &path));
    let hear = || {
        let mut text = [0; 64];
        let length = notified.recv(&mut text).unwrap();
        String::from_utf8_lossy(&text[..length]).trim().to_owned()
    };
    assert_eq!(hear(), "READY=1");
    server.end(Signal::TERM);
    assert_eq!(hear(), "STOPPING=1");
}

/// What a command that could not run says.
fn refused(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty());
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn a_socket_in_use_is_left_alone() {
    let bed = Bed::new();
    let server = bed.serve(&[]);
    let mut client = connect(&bed.socket());
    let said = refused(&mut bed.command());
    let path = bed.socket();
    assert_eq!(
        said,
        format!(
            "error: a live server listens on {path:?}\nmend:  stop that server, or choose another path\n"
        )
    );
    assert_eq!(read(&mut client, CONFIG, 0), 0x1111_1af4);
    drop(client);
    // What a killed server leaves, until its guard removes it, is no obstacle.
    server.end(Signal::KILL);
    let _server = bed.serve(&[]);
    assert_eq!(read(&mut connect(&path), CONFIG, 0), 0x1111_1af4);
}

#[test]
fn a_file_in_the_socket_s_place_is_refused_and_stays() {
    let bed = Bed::new();
    fs::write(bed.socket(), "a file").unwrap();
    let said = refused(&mut bed.command());
    assert!(said.contains("is there already and is no socket"), "{said}");
    assert_eq!(fs::read(bed.socket()).unwrap(), b"a file");
}

/// A VM needs no control socket: the device is served without one.
#[test]
fn a_control_socket_that_cannot_be_costs_nothing_but_itself() {
    let bed = Bed::new();
    let taken = bed.0.path().join("taken");
    fs::write(&taken, "a file").unwrap();
    let taken_cause = format!("{taken:?} is there already and is no socket");
    let cases = [
        (
            "/nonexistent/folder/socket",
            "there is no folder \"/nonexistent/folder\"",
            "create the folder",
        ),
        (
            taken.to_str().unwrap(),
            &*taken_cause,
            "choose another path",
        ),
    ];
    for (path, cause, mend) in cases {
        let server = bed.serve(&["--control", path]);
        let mut client = connect(&bed.socket());
        assert_eq!(read(&mut client, CONFIG, 0), 0x1111_1af4);
        let (code, log) = server.end(Signal::TERM);
        assert_eq!(code, Some(0));
        let mut lines = log.lines();
        let said = format!("vgpu-stub: there is no control socket: {cause}");
        assert_eq!(lines.next(), Some(&*said));
        let mends = lines.next().unwrap();
        assert!(
            mends.contains(mend) && mends.contains("start this server again"),
            "{mends}"
        );
    }
    assert_eq!(fs::read(&taken).unwrap(), b"a file");
    assert_eq!(bed.files(), 1);
}

/// A server removes what it has made, and no other's.
#[test]
fn another_server_s_control_socket_stays() {
    let [first, second] = [Bed::new(), Bed::new()];
    let control = first.control();
    let _first = first.serve(&["--control", control.to_str().unwrap()]);
    for signal in [Signal::TERM, Signal::KILL] {
        let server = second.serve(&["--control", control.to_str().unwrap()]);
        let (_, log) = server.end(signal);
        // A server that is killed may not have come to write it.
        let told = log.contains("a live server listens on") || signal == Signal::KILL;
        assert!(told, "{log}");
        // Its guard may outlive it for a moment.
        let since = Instant::now();
        while second.socket().exists() && since.elapsed() < LIMIT {
            thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(second.files(), 0);
        assert!(control.exists(), "{signal:?}");
    }
}

/// Whoever may read the folder can lock it, and hold nobody up.
#[test]
fn a_locked_folder_costs_nothing() {
    let bed = Bed::new();
    let folder = fs::File::open(bed.0.path()).unwrap();
    rustix::fs::flock(&folder, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let control = bed.control();
    let server = bed.serve(&["--control", control.to_str().unwrap()]);
    assert_eq!(read(&mut connect(&bed.socket()), CONFIG, 0), 0x1111_1af4);
    assert!(control.exists());
    server.end(Signal::KILL);
    let server = bed.serve(&["--control", control.to_str().unwrap()]);
    assert_eq!(server.end(Signal::TERM).0, Some(0));
}

/// The log's reader has stopped, all accesses are traced, and a control client
/// asks without reading: the guest's accesses are answered all the same.
#[test]
fn an_access_waits_for_nothing_else() {
    const ACCESSES: u32 = 20_000;
    let bed = Bed::new();
    let control = bed.control();
    let server = bed.serve(&["--trace", "access", "--control", control.to_str().unwrap()]);
    let mut asking = UnixStream::connect(&control).unwrap();
    asking.set_nonblocking(true).unwrap();
    let mut client = connect(&bed.socket());
    client.region_write(CONFIG, 0x04, &[2, 0]).unwrap();
    let started = Instant::now();
    for number in 0..ACCESSES {
        write_and_read(&mut client, number);
        let _ = asking.write(b"{\"command\":\"registers\"}\n");
    }
    // Hundreds of times what it takes.
    assert!(started.elapsed() < LIMIT, "{:?}", started.elapsed());
    let (code, log) = server.end(Signal::TERM);
    assert_eq!(code, Some(0));
    assert!(log.len() < 1 << 20, "{}", log.len());
    assert!(log.contains(" lines left out, then: "));
}

#[test]
fn floods_of_clients_leave_nothing_behind() {
    let bed = Bed::new();
    let server = bed.serve(&[]);
    let garbage = [0xa5; 4096];
    let flood = |rounds: usize| {
        for round in 0..rounds {
            let Ok(mut stream) = UnixStream::connect(bed.socket()) else {
                continue;
            };
            let _ = stream.write_all(&garbage[..round % garbage.len()]);
        }
    };
    // As many threads at a time as there can be.
    flood(500);
    drop(connect(&bed.socket()));
    thread::sleep(Duration::from_millis(500));
    let (memory, descriptors) = (server.memory(), server.descriptors());
    flood(2000);
    drop(connect(&bed.socket()));
    let started = Instant::now();
    while server.descriptors() > descriptors {
        assert!(started.elapsed() < LIMIT, "descriptors are left");
        thread::sleep(Duration::from_millis(10));
    }
    let memory_after = server.memory();
    assert!(
        memory_after < memory + 1024,
        "{memory} KiB before, {memory_after} KiB after"
    );
    let (code, log) = server.end(Signal::TERM);
    assert_eq!(code, Some(0));
    assert!(log.lines().count() < 2000, "{}", log.lines().count());
}

/// Without a descriptor for one more client the server waits until it has one.
#[test]
fn a_lack_of_descriptors_passes() {
    let bed = Bed::new();
    let server = bed.serve(&[]);
    let mut client = connect(&bed.socket());
    let full = Rlimit {
        // Those that it has stay, the lowest among them; poll needs as many.
        current: Some(6),
        ..getrlimit(Resource::Nofile)
    };
    let before = prlimit(Some(server.pid()), Resource::Nofile, full).unwrap();
    let mut waiting = UnixStream::connect(bed.socket()).unwrap();
    waiting
        .set_read_timeout(Some(Duration::from_millis(500)))
        .unwrap();
    assert!(waiting.read(&mut [0]).is_err(), "it was not accepted yet");
    assert_eq!(read(&mut client, CONFIG, 0), 0x1111_1af4);
    prlimit(Some(server.pid()), Resource::Nofile, before).unwrap();
    waiting.set_read_timeout(Some(LIMIT)).unwrap();
    assert_eq!(waiting.read(&mut [0]).unwrap(), 0, "it was turned away");
    drop(client);
    let mut next = connect(&bed.socket());
    assert_eq!(read(&mut next, CONFIG, 0), 0x1111_1af4);
    let (code, log) = server.end(Signal::TERM);
    assert_eq!(code, Some(0));
    assert!(
        log.contains("cannot accept a client: Too many open files"),
        "{log}"
    );
}
