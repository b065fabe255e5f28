//! Emulators that do what they should not: each has what the documents say, and the others go on.

use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::{Errno, pwrite};
use vgpu_abi::bar0::CHANNELS;
use vgpu_abi::link::{ADD, ATTACH, CLOSE, DONE, Message, OPEN, PAGE, Piece, RESET, VERSION};
use vgpu_abi::segment::PIECES_MAX;
use vgpu_ring::layout::SLICE_SIZE;
use zerocopy::IntoBytes;

use crate::emulator::{Daemon, Emulator, RAM, this_machine};
use crate::{errno, within_a_second};

const OTHER: [u8; 16] = *b"another's uuid..";

fn dropped(emulator: &mut Emulator) -> bool {
    let start = Instant::now();
    while emulator.hear(Duration::from_secs(1)) {
        assert!(start.elapsed() < Duration::from_secs(5));
    }
    vgpu_poll::is_hung_up(&emulator.socket).unwrap()
}

#[test]
fn who_may_not_attach_is_hung_up_on() {
    let config = |command: &mut std::process::Command, folder: &std::path::Path| {
        let file = folder.join("link.toml");
        let own = rustix::process::geteuid().as_raw();
        let machine = |uuid: [u8; 16], uid| {
            let uuid = uuid.map(|byte| format!("{byte:02x}")).concat();
            format!("[[machine]]\nuuid = \"{uuid}\"\nuid = {uid}\nchannels = 1\nmemory-mib = 5\n")
        };
        let text = machine(this_machine(), own) + &machine(OTHER, own + 1);
        fs::write(&file, text).unwrap();
        command.arg("--config").arg(file);
    };
    let daemon = Daemon::with(config);
    assert!(Emulator::of(&daemon, OTHER).is_none(), "another user's");
    assert!(Emulator::of(&daemon, [0; 16]).is_none(), "nobody's");
    let mut emulator = Emulator::attach(&daemon);
    assert!(
        Emulator::of(&daemon, this_machine()).is_none(),
        "there is one"
    );
    let mut guest = emulator.open(3);
    // Its limits.
    assert_eq!(emulator.add(3, 1, 2 << 20).0, errno(Errno::NOMEM));
    assert_eq!(emulator.try_open(4).0, errno(Errno::NOMEM));
    assert_eq!(emulator.add(3, 1, 1 << 20).0, 0);
    guest.echoes();
    within_a_second("logged", || {
        let log = daemon.log();
        log.contains("is not one of its user's") && log.contains("has machine")
    });
    assert_eq!(emulator.close(3), 0);
    // The file is read anew: now it is another user's.
    let own = rustix::process::geteuid().as_raw();
    let file = daemon.path().with_file_name("link.toml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(
        &file,
        text.replace(&format!("uid = {own}\n"), "uid = 4000000\n"),
    )
    .unwrap();
    drop(emulator);
    assert!(Emulator::of(&daemon, this_machine()).is_none());
    within_a_second("logged", || daemon.log().contains("for no machine"));
}

#[test]
fn what_is_no_message_ends_the_connection() {
    let daemon = Daemon::start();
    let mut other = Emulator::of(&daemon, OTHER).unwrap();
    let mut guest = other.open(0);
    let memory: OwnedFd = memfd_create("vgpu-test-ram", MemfdFlags::CLOEXEC).unwrap();
    let message = |kind, files| Message {
        kind,
        files,
        length: 4096,
        pieces: 1,
        ..Message::default()
    };
    for (kind, files, descriptors) in [
        (0, 0, 0),
        (99, 0, 0),
        (ATTACH, 0, 0),
        (DONE, 0, 0),
        (CLOSE, 0, 1),
        (RESET, 0, 3),
        (ADD, 1, 0),
        (ADD, 1, 3),
        (ADD, 0, 1),
        (PAGE, 1, 1),
        (OPEN, 1, 3),
        (OPEN, 1, 16),
        (OPEN, u32::MAX, 4),
    ] {
        let mut emulator = Emulator::attach(&daemon);
        let open = emulator.open(1);
        emulator.send(&message(kind, files), &vec![memory.as_fd(); descriptors]);
        assert!(dropped(&mut emulator), "{kind} {files} {descriptors}");
        drop(open);
    }
    // Of another size; and before it is attached, or of another version.
    let mut emulator = Emulator::attach(&daemon);
    vgpu_packet::send(&emulator.socket, &[0_u8; 63], &[]).unwrap();
    assert!(dropped(&mut emulator));
    for (kind, version) in [(RESET, VERSION), (ATTACH, VERSION + 1), (ATTACH, 0)] {
        let socket = vgpu_packet::connect(&daemon.path()).unwrap();
        let first = Message {
            kind,
            version,
            ..Message::default()
        };
        vgpu_packet::send(&socket, &first, &[]).unwrap();
        let answer = vgpu_packet::receive::<Message>(&socket, 0);
        assert!(answer.is_err(), "{answer:?}");
    }
    guest.echoes();
}

#[test]
fn memory_that_is_none_is_refused() {
    let daemon = Daemon::start();
    let mut emulator = Emulator::attach(&daemon);
    let mut guest = emulator.open(0);
    let good = emulator.ram.take(8192);
    let invalid = errno(Errno::INVAL);
    let piece = |offset, length, file, reserved| Piece {
        offset,
        length,
        file,
        reserved,
    };
    for (pieces, expected) in [
        (vec![piece(RAM, 4096, 0, 0)], invalid),
        (vec![piece(RAM - 4096, 8192, 0, 0)], invalid),
        (vec![piece(!4095, 4096, 0, 0)], invalid),
        (vec![piece(0, 4096, 2, 0)], invalid),
        (vec![piece(0, 4096, 0, 1)], invalid),
        (vec![piece(8, 4096, 0, 0)], invalid),
    ] {
        let (message, list) = Emulator::about(ADD, &pieces);
        let message = Message {
            region: 1,
            ..message
        };
        assert_eq!(
            emulator.ask_about(&message, &[&list]),
            expected,
            "{pieces:?}"
        );
    }
    let (message, list) = Emulator::about(ADD, &good);
    let message = Message {
        region: 1,
        ..message
    };
    let with = |change: fn(&mut Message)| {
        let mut message = message;
        change(&mut message);
        message
    };
    for wrong in [
        with(|it| it.length = 0),
        with(|it| it.length = 4095),
        with(|it| it.length = 4096),
        with(|it| it.length = 12288),
        with(|it| it.pieces = 0),
        with(|it| it.pieces = 2),
        with(|it| it.pieces = PIECES_MAX + 1),
    ] {
        assert_eq!(emulator.ask_about(&wrong, &[&list]), invalid, "{wrong:?}");
    }
    let many = with(|it| it.pieces = PIECES_MAX);
    assert_eq!(emulator.ask_about(&many, &[&list]), errno(Errno::NOSPC));
    // A list that could change.
    let open = memfd_create("list", MemfdFlags::ALLOW_SEALING).unwrap();
    pwrite(&open, good.as_bytes(), 0).unwrap();
    assert_eq!(emulator.ask_about(&message, &[&open]), errno(Errno::PERM));
    let null: OwnedFd = fs::File::open("/dev/null").unwrap().into();
    assert_eq!(emulator.ask_about(&message, &[&null]), errno(Errno::PERM));
    // Files that are not memory.
    let null = [&list, &null, &null].map(AsFd::as_fd);
    assert_eq!(emulator.ask(&message, &null), invalid);
    // It is as good as before.
    assert_eq!(emulator.ask_about(&message, &[&list]), 0);
    guest.echoes();

    // The same of a slice, and what else it may not be: nobody is told of a loss.
    let pieces = emulator.ram.take(SLICE_SIZE as u64);
    let small = emulator.ram.take(64 << 10);
    let (whole, list_of_whole) = Emulator::about(OPEN, &pieces);
    let (small, list_of_small) = Emulator::about(OPEN, &small);
    let events: OwnedFd = rustix::event::eventfd(0, rustix::event::EventfdFlags::CLOEXEC).unwrap();
    for (message, channel, list, expected) in [
        (whole, 0, &list_of_whole, errno(Errno::EXIST)),
        (whole, u32::from(CHANNELS), &list_of_whole, invalid),
        (whole, u32::MAX, &list_of_whole, invalid),
        (small, 1, &list_of_small, invalid),
        (whole, 1, &list_of_small, invalid),
        (whole, 1, &open, errno(Errno::PERM)),
        (whole, 1, &list_of_whole, 0),
    ] {
        let message = Message { channel, ..message };
        let answer = emulator.ask_about(&message, &[list, &events, &events]);
        assert_eq!(answer, expected, "{message:?}");
    }
    assert!(emulator.lost.is_empty());
    guest.echoes();
}

#[test]
fn who_does_not_read_is_dropped_and_holds_up_nobody() {
    let daemon = Daemon::start();
    let mut other = Emulator::of(&daemon, OTHER).unwrap();
    let mut guest = other.open(0);
    let emulator = Emulator::attach(&daemon);
    let close = Message {
        kind: CLOSE,
        ..Message::default()
    };
    let start = Instant::now();
    let mut sent = 0_u32;
    loop {
        match vgpu_packet::send(&emulator.socket, &close, &[]) {
            Ok(()) => sent += 1,
            Err(vgpu_packet::Error::System(Errno::AGAIN)) => {}
            Err(error) => break assert_eq!(error, vgpu_packet::Error::Gone),
        }
        if sent.is_multiple_of(100) {
            guest.echoes();
            assert_eq!(other.close(9), errno(Errno::NOENT));
        }
        assert!(start.elapsed() < Duration::from_secs(10), "{sent}");
    }
    within_a_second("logged", || daemon.log().contains("it does not read"));
    let connections: Vec<_> = (0..20)
        .map(|_| vgpu_packet::connect(&daemon.path()).unwrap())
        .collect();
    guest.echoes();
    other.open(1).echoes();
    drop(connections);
}
