//! The xenstore client against a peer that plays xenstored, well and badly.
//! The real one is met in the scenarios on a real Xen.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use xen_dm::DomainId;
use xen_dm::xenstore::{Access, Error, Event, Stream, Transaction, Xenstore};

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

/// An event's path and token.
fn texts(event: Event) -> [String; 2] {
    [event.path, event.token]
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
    let mut next = || store.next_event(None).unwrap().map(texts);
    assert_eq!(next(), Some(["@releaseDomain", "mark"].map(Into::into)));
    assert_eq!(next(), Some(["/a", "other"].map(Into::into)));
    assert!(!store.has_event());
    peer.join().unwrap();
    // Nobody is left to send one.
    assert!(matches!(store.next_event(None), Err(Error::Connection(_))));
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

/// As long as nothing is waited for that comes.
const SHORT: Duration = Duration::from_millis(20);

/// A client that waits a short time for its peer.
fn impatient() -> (Xenstore, UnixStream) {
    let (client, peer) = UnixStream::pair().unwrap();
    let mut store = Xenstore::over(Stream::new(client).unwrap());
    store.set_answer_limit(SHORT);
    (store, peer)
}

fn message(kind: u32, id: u32, body: &[u8]) -> Vec<u8> {
    let header = [kind, id, 0, body.len() as u32].map(u32::to_ne_bytes);
    [header.as_flattened(), body].concat()
}

#[test]
fn what_has_come_of_an_event_is_kept_when_the_time_is_over() {
    let message = message(EVENT, 0, b"/a\0mark\0");
    for cut in 0..message.len() {
        let (mut store, mut peer) = impatient();
        peer.write_all(&message[..cut]).unwrap();
        let nothing = store.next_event(Some(Duration::ZERO));
        assert!(matches!(nothing, Ok(None)), "{nothing:?} after {cut} bytes");
        peer.write_all(&message[cut..]).unwrap();
        // The next one is found too.
        peer.write_all(&message).unwrap();
        for _ in 0..2 {
            let event = store.next_event(Some(Duration::ZERO)).unwrap().map(texts);
            assert_eq!(event, Some(["/a", "mark"].map(Into::into)), "{cut}");
        }
    }
}

#[test]
fn an_event_is_waited_for_as_long_as_is_said() {
    let (mut store, mut peer) = impatient();
    let began = Instant::now();
    assert_eq!(store.next_event(Some(SHORT)).unwrap(), None);
    assert!(began.elapsed() >= SHORT);
    let late = thread::spawn(move || {
        thread::sleep(SHORT * 3);
        peer.write_all(&message(EVENT, 0, b"/a\0mark\0")).unwrap();
        peer
    });
    assert!(store.next_event(None).unwrap().is_some());
    late.join().unwrap();
}

#[test]
fn an_answer_that_comes_too_late_is_no_other_s() {
    let (mut store, mut peer) = impatient();
    let none = Transaction::NONE;
    let mut read = |path| store.read(none, path);
    peer.write_all(&message(READ, 1, b"first")[..18]).unwrap();
    assert!(matches!(read("/a"), Err(Error::TimedOut)));
    assert!(matches!(read("/b"), Err(Error::TimedOut)));
    peer.write_all(&message(READ, 1, b"first")[18..]).unwrap();
    peer.write_all(&message(READ, 2, b"second")).unwrap();
    peer.write_all(&message(READ, 3, b"third")).unwrap();
    assert_eq!(read("/c").unwrap(), b"third");
    // One that was never asked for is none of them, nor is one that came already.
    for id in [3, 5] {
        peer.write_all(&message(READ, id, b"")).unwrap();
        let event = store.next_event(Some(Duration::ZERO));
        assert!(matches!(event, Err(Error::Protocol)), "{event:?}");
    }
    // While an event is waited for, one that is late is passed over.
    assert!(matches!(store.read(none, "/d"), Err(Error::TimedOut)));
    peer.write_all(&message(READ, 4, b"fourth")).unwrap();
    assert_eq!(store.next_event(Some(SHORT)).unwrap(), None);
}

/// A peer that takes some bytes every other time, and never answers.
#[derive(Default)]
struct Slow {
    heard: Vec<u8>,
    full: bool,
}

impl Read for &mut Slow {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::WouldBlock.into())
    }
}

impl Write for &mut Slow {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.full = !self.full;
        if !self.full {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let taken = &bytes[..bytes.len().min(7)];
        self.heard.extend(taken);
        Ok(taken.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_request_that_could_not_be_sent_whole_ends_before_the_next_begins() {
    let mut peer = Slow::default();
    let mut store = Xenstore::over(&mut peer);
    for _ in 0..100 {
        let read = store.read(Transaction::NONE, "/some/path");
        assert!(matches!(read, Err(Error::TimedOut)), "{read:?}");
    }
    let mut rest = peer.heard.as_slice();
    let mut whole = 0;
    while let Some((header, after)) = rest.split_at_checked(16) {
        assert_eq!(header[..4], READ.to_ne_bytes());
        let length = u32::from_ne_bytes(header[12..].try_into().unwrap()) as usize;
        let Some((path, after)) = after.split_at_checked(length) else {
            break;
        };
        assert_eq!(path, b"/some/path\0");
        whole += 1;
        rest = after;
    }
    assert!(whole > 10, "{whole}");
}

/// A peer that says the same again and again, and listens to nothing.
struct Endless(io::Cursor<Vec<u8>>);

impl Read for Endless {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.0.position() == self.0.get_ref().len() as u64 {
            self.0.set_position(0);
        }
        self.0.read(buffer)
    }
}

impl Write for Endless {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn events_without_end_do_not_put_off_the_deadline() {
    let event = message(EVENT, 0, b"/a\0mark\0");
    let mut store = Xenstore::over(Endless(io::Cursor::new(event)));
    store.set_answer_limit(SHORT);
    let read = store.read(Transaction::NONE, "/a");
    assert!(matches!(read, Err(Error::TimedOut)), "{read:?}");
}
