//! The xenstore client, and a peer that answers whatever it likes.

use std::io::{self, Read, Write};

use xen_dm::DomainId;
use xen_dm::xenstore::{Access, Error, Transaction, Xenstore};

use crate::Input;

/// `XENSTORE_PAYLOAD_MAX`
const LONGEST: usize = 4096;

const READ: u32 = 2;
const EVENT: u32 = 15;
const ERROR: u32 = 16;

/// The stream: the peer's bytes, and what the client has said so far.
struct Peer<'a> {
    said: &'a [u8],
    /// Bytes that a read returns at most, as a socket does what it wants.
    piece: usize,
    heard: Vec<u8>,
    requests: u32,
}

impl Read for &mut Peer<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = buffer.len().min(self.piece);
        self.said.read(&mut buffer[..count])
    }
}

impl Write for &mut Peer<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Whole requests, one a write, each with an id of its own.
        self.requests += 1;
        assert!(bytes.len() <= 16 + LONGEST);
        assert_eq!(field(bytes, 12) as usize, bytes.len() - 16);
        assert_eq!(field(bytes, 4), self.requests);
        self.heard.clear();
        self.heard.extend(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn field(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes(bytes[at..at + 4].try_into().expect("4 bytes"))
}

/// What a request has to give, by the protocol.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Answer(Vec<u8>),
    Refused,
    Protocol,
    Connection,
}

/// Reads the answer to the request `id` of type `kind` as the protocol has it;
/// adds the events before it to `events`.
fn reference(said: &mut &[u8], kind: u32, id: u32, events: &mut Vec<(String, String)>) -> Outcome {
    loop {
        let Some((header, rest)) = said.split_at_checked(16) else {
            return Outcome::Connection;
        };
        let length = field(header, 12) as usize;
        if length > LONGEST {
            return Outcome::Protocol;
        }
        let Some((body, rest)) = rest.split_at_checked(length) else {
            return Outcome::Connection;
        };
        *said = rest;
        match field(header, 0) {
            EVENT => {
                let mut texts = body
                    .split(|byte| *byte == 0)
                    .filter(|text| !text.is_empty());
                if let (Some(path), Some(token)) = (texts.next(), texts.next()) {
                    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
                    events.push((text(path), text(token)));
                }
            }
            _ if field(header, 4) != id => return Outcome::Protocol,
            ERROR => return Outcome::Refused,
            answer if answer == kind => return Outcome::Answer(body.to_vec()),
            _ => return Outcome::Protocol,
        }
    }
}

fn outcome(result: Result<Vec<u8>, Error>) -> Outcome {
    match result {
        Ok(body) => Outcome::Answer(body),
        Err(Error::Refused(errno)) => {
            assert!((1..4096).contains(&errno.raw_os_error()));
            Outcome::Refused
        }
        Err(Error::Protocol) => Outcome::Protocol,
        Err(Error::Connection(_)) => Outcome::Connection,
        Err(error) => panic!("{error}, of a short path and a peer that never waits"),
    }
}

pub(super) fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let mut calls = [0; 16];
    let count = usize::from(input.u8() % 16);
    calls[..count].fill_with(|| input.u8());
    let mut peer = Peer {
        piece: match input.u8() {
            0 => usize::MAX,
            piece => piece.into(),
        },
        said: input.rest(),
        heard: Vec::with_capacity(16 + LONGEST),
        requests: 0,
    };
    let mut said = peer.said;
    let mut events = Vec::new();
    let mut id = 0;
    let mut store = Xenstore::over(&mut peer);
    for call in &calls[..count] {
        let none = Transaction::NONE;
        // A client whose stream makes no sense any more is not used again.
        let sound = match call % 10 {
            0..=2 => {
                id += 1;
                let expected = reference(&mut said, READ, id, &mut events);
                let got = outcome(store.read(none, "/local/domain/7"));
                assert_eq!(got, expected);
                matches!(got, Outcome::Answer(_) | Outcome::Refused)
            }
            3 => {
                id += 1;
                let answer = reference(&mut said, 1, id, &mut events);
                let got = store.directory(none, "/local");
                if let (Outcome::Answer(body), Ok(names)) = (&answer, &got) {
                    let zeros = body.iter().filter(|byte| **byte == 0).count();
                    assert!(names.len() <= zeros + 1);
                    assert!(
                        names
                            .iter()
                            .all(|name| !name.is_empty() && !name.contains('\0'))
                    );
                }
                sound(&got, &answer)
            }
            4 => {
                id += 1;
                let answer = reference(&mut said, 11, id, &mut events);
                sound(&store.write(none, "/local/domain/7/a", "value"), &answer)
            }
            5 => {
                id += 1;
                let answer = reference(&mut said, 13, id, &mut events);
                let got = store.remove(none, "/local/domain/7/a");
                match (&got, &answer) {
                    (Ok(()), Outcome::Refused) => true,
                    _ => sound(&got, &answer),
                }
            }
            6 => {
                id += 1;
                let answer = reference(&mut said, 4, id, &mut events);
                sound(&store.watch("@releaseDomain", "mark"), &answer)
            }
            7 => {
                id += 1;
                let answer = reference(&mut said, 17, id, &mut events);
                let got = store.is_introduced(DomainId(7));
                if let (Outcome::Answer(body), Ok(introduced)) = (&answer, &got) {
                    assert_eq!(*introduced, body.first() == Some(&b'T'));
                }
                sound(&got, &answer)
            }
            8 => {
                if events.is_empty() {
                    // It waits for one, and must take nothing else for it.
                    assert!(!store.has_event());
                    let _ = store.next_event(None);
                    return;
                }
                let (path, token) = events.remove(0);
                let event = store
                    .next_event(None)
                    .expect("it came")
                    .expect("there is one");
                assert_eq!((event.path, event.token), (path, token));
                true
            }
            _ => {
                // However often it is made again: the stream's end ends it.
                let done = store.transaction(|store, transaction| {
                    let other = (DomainId(7), Access::Read);
                    store.set_permissions(transaction, "/a", DomainId(0), other)?;
                    store.make(transaction, "/a")
                });
                let _ = done;
                return;
            }
        };
        if !sound {
            return;
        }
        assert_eq!(store.has_event(), !events.is_empty());
    }
    drop(store);
    assert_eq!(peer.requests, id);
}

/// Whether a call went as the protocol has it, and the connection goes on.
fn sound<T>(got: &Result<T, Error>, answer: &Outcome) -> bool {
    match (got, answer) {
        (Ok(_), Outcome::Answer(_)) | (Err(Error::Refused(_)), Outcome::Refused) => true,
        (Err(Error::Protocol), Outcome::Protocol)
        | (Err(Error::Connection(_)), Outcome::Connection) => false,
        _ => panic!("got {:?} for {answer:?}", got.as_ref().err()),
    }
}
