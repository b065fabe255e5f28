//! The xenstore client against a peer that plays xenstored, well and badly.
//! The real one is met in the scenarios on a real Xen.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::thread::{self, JoinHandle};

use xen_dm::DomainId;
use xen_dm::xenstore::{Access, Error, Event, Transaction, Xenstore};

const READ: u32 = 2;
const WATCH: u32 = 4;
const START: u32 = 6;
const END: u32 = 7;
const WRITE: u32 = 11;
const REMOVE: u32 = 13;
const SET_PERMISSIONS: u32 = 14;
const EVENT: u32 = 15;
const ERROR: u32 = 16;
const IS_INTRODUCED: u32 = 17;

/// What the peer hears: type, transaction and body of a request.
type Heard = (u32, u32, Vec<u8>);

/// What it says to a request: type and body, with the request's own id.
type Said = (u32, &'static [u8]);

/// A client whose peer answers each request with the next lines of `script`.
fn play(script: Vec<Vec<Said>>) -> (Xenstore<UnixStream>, JoinHandle<Vec<Heard>>) {
    let (client, mut peer) = UnixStream::pair().unwrap();
    let peer = thread::spawn(move || {
        let mut heard = Vec::new();
        for answers in script {
            let mut header = [0; 16];
            if peer.read_exact(&mut header).is_err() {
                break;
            }
            let field = |at: usize| u32::from_ne_bytes(header[at..at + 4].try_into().unwrap());
            let mut body = vec![0; field(12) as usize];
            peer.read_exact(&mut body).unwrap();
            heard.push((field(0), field(8), body));
            for (kind, body) in answers {
                let id = if kind == EVENT { 0 } else { field(4) };
                for field in [kind, id, 0, body.len() as u32] {
                    let _ = peer.write_all(&field.to_ne_bytes());
                }
                let _ = peer.write_all(body);
            }
        }
        heard
    });
    (Xenstore::over(client), peer)
}

#[test]
fn requests_and_answers_have_xenstore_s_form() {
    let ok: &[u8] = b"OK\0";
    let (mut store, peer) = play(vec![
        vec![(READ, b"value")],
        vec![(WRITE, ok)],
        vec![(SET_PERMISSIONS, ok)],
        vec![(IS_INTRODUCED, b"T\0")],
        vec![(IS_INTRODUCED, b"F\0")],
        vec![(ERROR, b"ENOENT\0")],
        vec![(ERROR, b"ENOENT\0")],
        vec![(ERROR, b"EACCES\0")],
        vec![(1, b"one\0two\0")],
    ]);
    let none = Transaction::NONE;
    assert_eq!(store.read(none, "/a").unwrap(), b"value");
    store.write(none, "/a", "b c").unwrap();
    let other = (DomainId(7), Access::Read);
    store
        .set_permissions(none, "/a", DomainId(0), other)
        .unwrap();
    assert!(store.is_introduced(DomainId(7)).unwrap());
    assert!(!store.is_introduced(DomainId(8)).unwrap());
    assert!(store.read(none, "/none").unwrap_err().is_absent());
    // What is not there is removed already.
    store.remove(none, "/none").unwrap();
    assert!(matches!(store.remove(none, "/a"), Err(Error::Refused(_))));
    assert_eq!(store.directory(none, "/a").unwrap(), ["one", "two"]);
    let expected: [Heard; 9] = [
        (READ, 0, b"/a\0".to_vec()),
        (WRITE, 0, b"/a\0b c".to_vec()),
        (SET_PERMISSIONS, 0, b"/a\0n0\0r7\0".to_vec()),
        (IS_INTRODUCED, 0, b"7\0".to_vec()),
        (IS_INTRODUCED, 0, b"8\0".to_vec()),
        (READ, 0, b"/none\0".to_vec()),
        (REMOVE, 0, b"/none\0".to_vec()),
        (REMOVE, 0, b"/a\0".to_vec()),
        (1, 0, b"/a\0".to_vec()),
    ];
    assert_eq!(peer.join().unwrap(), expected);
}

#[test]
fn a_conflict_makes_the_transaction_again() {
    let ok: &[u8] = b"OK\0";
    let (mut store, peer) = play(vec![
        vec![(START, b"5\0")],
        vec![(WRITE, ok)],
        vec![(ERROR, b"EAGAIN\0")],
        vec![(START, b"6\0")],
        vec![(WRITE, ok)],
        vec![(END, ok)],
        // A change that is refused takes the others back.
        vec![(START, b"7\0")],
        vec![(ERROR, b"ENOSPC\0")],
        vec![(END, ok)],
    ]);
    let mut write = |value: &str| store.transaction(|s, t| s.write(t, "/a", value));
    write("x").unwrap();
    assert!(matches!(write("y"), Err(Error::Refused(_))));
    let heard = peer.join().unwrap();
    let kinds: Vec<_> = heard.iter().map(|(kind, id, _)| (*kind, *id)).collect();
    let expected = [
        (START, 0),
        (WRITE, 5),
        (END, 5),
        (START, 0),
        (WRITE, 6),
        (END, 6),
        (START, 0),
        (WRITE, 7),
        (END, 7),
    ];
    assert_eq!(kinds, expected);
    assert_eq!(heard[5].2, b"T\0");
    assert_eq!(heard[8].2, b"F\0");
}

#[test]
fn events_may_come_at_any_time() {
    let (mut store, peer) = play(vec![
        vec![(EVENT, b"@releaseDomain\0mark\0"), (WATCH, b"OK\0")],
        vec![(EVENT, b"/a\0other\0"), (EVENT, b"broken"), (READ, b"v")],
    ]);
    store.watch("@releaseDomain", "mark").unwrap();
    assert!(store.has_event());
    store.read(Transaction::NONE, "/a").unwrap();
    let event = |path: &str, token: &str| Event {
        path: path.into(),
        token: token.into(),
    };
    assert_eq!(store.next_event().unwrap(), event("@releaseDomain", "mark"));
    assert_eq!(store.next_event().unwrap(), event("/a", "other"));
    assert!(!store.has_event());
    peer.join().unwrap();
    // Nobody is left to send one.
    assert!(matches!(store.next_event(), Err(Error::Connection(_))));
}

#[test]
fn nonsense_is_an_error() {
    let cases: [Vec<Said>; 4] = [
        // An answer to another question, of no known type, or none at all.
        vec![(WRITE, b"OK\0")],
        vec![(999, b"")],
        vec![],
        vec![(ERROR, b"EWHATEVER\0")],
    ];
    for answers in cases {
        let (mut store, peer) = play(vec![answers.clone()]);
        let read = store.read(Transaction::NONE, "/a");
        assert!(read.is_err(), "{answers:?} gives {read:?}");
        drop(store);
        peer.join().unwrap();
    }
    // A length that no message has, and another id.
    for (id, length) in [(1, 4097u32), (1, u32::MAX), (2, 0)] {
        let (client, mut peer) = UnixStream::pair().unwrap();
        for field in [READ, id, 0, length] {
            peer.write_all(&field.to_ne_bytes()).unwrap();
        }
        let read = Xenstore::over(client).read(Transaction::NONE, "/a");
        assert!(matches!(read, Err(Error::Protocol)), "{read:?}");
    }
    let (client, _peer) = UnixStream::pair().unwrap();
    let long = "/".repeat(5000);
    let read = Xenstore::over(client).read(Transaction::NONE, &long);
    assert!(matches!(read, Err(Error::TooLong)));
}
