//! However a connection ends, the client reads what was said to it and then
//! the end of file: never `ECONNRESET`, which is what a UNIX socket gives for
//! being closed over unread data.

use std::io::{ErrorKind, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use vfio_user_server::{Broken, Connection, Errno, MAX_DATA, Stop};

use crate::raw::{CAPABILITIES, REGION_READ, RESET, Raw, VERSION, access, message, version};
use crate::scratch::Shared;

const EBUSY: u32 = 16;
const EINVAL: u32 = 22;
const EMSGSIZE: u32 = 90;

/// Far longer than anything here takes.
const LONG: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(200);

/// Both ends of a connection.
fn pair() -> (Raw, UnixStream) {
    let (client, server) = UnixStream::pair().unwrap();
    client.set_read_timeout(Some(LONG)).unwrap();
    (Raw { stream: client }, server)
}

/// Sends `first`, and then more than the server receives at once.
fn fill(client: &mut Raw, first: &[u8]) {
    client.send(first);
    client.stream.set_nonblocking(true).unwrap();
    let mut sent = 0;
    loop {
        match client.stream.write(&[0xa5; 4096]) {
            Ok(bytes) => sent += bytes,
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => panic!("{error}"),
        }
    }
    client.stream.set_nonblocking(false).unwrap();
    assert!(sent > MAX_DATA + 4096, "{sent}");
}

fn proposal() -> Vec<u8> {
    message(7, VERSION, 0, &version(0, CAPABILITIES))
}

fn refuse(stream: UnixStream, limit: Duration) -> (Stop, JoinHandle<()>) {
    let connection = Connection::new(stream);
    let stop = connection.stop_handle();
    let refusing = thread::spawn(move || {
        if let Ok(Some(proposal)) = connection.proposal(limit) {
            proposal.refuse(Errno::BUSY, limit);
        }
    });
    (stop, refusing)
}

#[test]
fn a_refused_client_hears_why() {
    let (mut client, server) = pair();
    let (_, refusing) = refuse(server, LONG);
    let reply = client.ask(VERSION, &version(0, CAPABILITIES));
    assert_eq!(reply.errno(), EBUSY);
    // It is left time to leave, and no longer waited for once it has.
    assert!(!refusing.is_finished());
    drop(client);
    refusing.join().unwrap();
}

#[test]
fn a_refused_client_that_stays_is_closed() {
    let (mut client, server) = pair();
    fill(&mut client, &proposal());
    let (_, refusing) = refuse(server, SHORT);
    let reply = client.receive();
    assert_eq!((reply.id, reply.errno()), (7, EBUSY));
    client.is_closed();
    refusing.join().unwrap();
}

/// Also one that sends a byte now and then.
#[test]
fn a_refused_client_that_asks_nothing_is_closed_in_time() {
    for pause in [LONG, SHORT / 10] {
        let (mut client, server) = pair();
        let started = Instant::now();
        let (_, refusing) = refuse(server, SHORT);
        let mut sending = client.stream.try_clone().unwrap();
        let slow = thread::spawn(move || {
            for byte in &proposal()[..15] {
                if pause == LONG || sending.write(&[*byte]).is_err() {
                    break;
                }
                thread::sleep(pause);
            }
        });
        client.is_closed();
        assert!((SHORT..LONG / 2).contains(&started.elapsed()));
        refusing.join().unwrap();
        slow.join().unwrap();
    }
}

#[test]
fn a_refusal_can_be_stopped() {
    let (mut client, server) = pair();
    client.send(&proposal()[..15]);
    let (stop, refusing) = refuse(server, LONG);
    stop.stop();
    refusing.join().unwrap();
    client.is_closed();
    stop.stop();
}

#[test]
fn a_connection_that_is_not_served_ends_in_order() {
    let (mut client, server) = pair();
    fill(&mut client, &proposal());
    let device = std::fs::File::open("/dev/zero").unwrap();
    drop(Connection::new(server));
    client.is_closed();

    // Descriptors that nobody has received go too.
    let (mut client, server) = pair();
    client.send_with(&proposal(), &[device.as_fd()]);
    drop(Connection::new(server));
    client.is_closed();
}

#[test]
fn a_connection_without_a_version_ends_in_order() {
    let device = Shared::new();
    let (mut client, server) = pair();
    fill(&mut client, &message(7, RESET, 0, &[]));
    let serving = device.serve(server);
    assert_eq!(client.receive().errno(), EINVAL);
    assert_eq!(serving.end(), Err(Broken::Version));
    client.is_closed();
}

#[test]
fn a_connection_with_an_impossible_size_ends_in_order() {
    let device = Shared::new();
    let (mut client, server) = pair();
    let mut impossible = message(8, RESET, 0, &[]);
    impossible[4..8].copy_from_slice(&[0xff; 4]);
    fill(&mut client, &[proposal(), impossible].concat());
    let serving = device.serve(server);
    assert_eq!(client.receive().errno(), 0);
    assert_eq!(client.receive().errno(), EMSGSIZE);
    assert_eq!(serving.end(), Err(Broken::Size(u32::MAX)));
    client.is_closed();
}

/// The server is held in an access, and receives no more.
#[test]
fn a_connection_that_is_stopped_ends_in_order() {
    let device = Shared::new();
    let (mut client, serving) = Raw::begin(&device);
    let held = device.lock();
    client.send(&message(1, REGION_READ, 0, &access(0, 0, 4)));
    fill(&mut client, &message(2, RESET, 0, &[]));
    serving.stop.stop();
    drop(held);
    assert_eq!(serving.end(), Ok(()));
    client.is_closed();
}
