//! The control socket: several clients of one server, each of which sends what
//! it likes, in any pieces. One thread plays them all.

use std::cell::RefCell;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::retry_on_intr;
use serde_json::Value;
use tempfile::TempDir;
use vgpu_control::protocol::{Command, Id, LONGEST_REPLY, LONGEST_REQUEST, Request};
use vgpu_control::{Attachment, Devices, Server};
use vgpu_device::DeviceConfig;
use vgpu_runtime::Emulator;
use vgpu_socket::Listener;

use super::given::{LOG, device};
use crate::Input;

/// Clients that an input has, at most.
const CLIENTS: usize = 3;
const DEVICES: u32 = 2;
/// Far more steps than the server has to take: it spins.
const TOO_MANY_STEPS: usize = 100_000;

/// A server without clients, which serves one input after the other.
struct Idle {
    server: Server,
    _folder: TempDir,
}

thread_local! {
    static SERVER: RefCell<Idle> = RefCell::new(Idle::new());
}

impl Idle {
    fn new() -> Self {
        let folder = TempDir::new().expect("a folder");
        let listener = Listener::bind(&folder.path().join("control"), 0o600).expect("a socket");
        Self {
            server: Server::new(listener).expect("a server"),
            _folder: folder,
        }
    }
}

/// A client, and all that it has sent.
struct Client {
    stream: UnixStream,
    sent: Vec<u8>,
}

pub(super) fn run(bytes: &[u8]) {
    SERVER.with_borrow_mut(|idle| play(bytes, &mut idle.server));
}

fn play(bytes: &[u8], server: &mut Server) {
    let emulators = (0..DEVICES).map(|_| {
        let emulator = Emulator::new(device(0).0, false, LOG.clone());
        (DeviceConfig::default(), Arc::new(emulator))
    });
    let service = Devices::new(Attachment::VfioUser, emulators.collect());
    let mut clients: [Option<Client>; CLIENTS] = Default::default();
    let mut input = Input::new(bytes);
    while !input.is_empty() {
        let op = input.u8();
        let which = usize::from(op >> 4) % CLIENTS;
        let client = clients[which].get_or_insert_with(|| {
            let stream = UnixStream::connect(server.path()).expect("a connection");
            stream.set_nonblocking(true).expect("a socket");
            Client {
                stream,
                sent: Vec::new(),
            }
        });
        match op % 8 {
            0..=4 => {
                let count = input.u16();
                let part = input.bytes(count.into());
                // It fails where the server has closed the connection.
                let count = client.stream.write(part).unwrap_or(0);
                client.sent.extend(&part[..count]);
            }
            5 => {
                // A line that is too long, in few bytes of input.
                let part = [input.u8().max(b' '); LONGEST_REQUEST];
                let count = client.stream.write(&part).unwrap_or(0);
                client.sent.extend(&part[..count]);
            }
            6 => drop(step(server, &service)),
            _ => settle(server, &service),
        }
    }
    settle(server, &service);

    let alone = clients.iter().flatten().count() == 1;
    for client in clients.iter_mut().flatten() {
        let mut heard = Vec::new();
        // All that fits into the socket; then the rest, if there is one.
        while client.read(&mut heard) && step(server, &service) {}
        client.judge(&heard, alone);
    }
    drop(clients);
    settle(server, &service);
}

/// Has the server take a step, if there is one to take.
fn step(server: &mut Server, service: &Devices) -> bool {
    let mut fds = [PollFd::new(server, PollFlags::IN)];
    // libFuzzer has a signal once a second.
    let ready = retry_on_intr(|| poll(&mut fds, Some(&Timespec::default())));
    let ready = ready.expect("a poll") > 0;
    if ready {
        server.ready(service);
    }
    ready
}

fn settle(server: &mut Server, service: &Devices) {
    let rests = (0..TOO_MANY_STEPS).any(|_| !step(server, service));
    assert!(rests, "the server never comes to rest");
}

impl Client {
    /// Takes what has come, and says whether more may come.
    fn read(&mut self, heard: &mut Vec<u8>) -> bool {
        match self.stream.read_to_end(heard) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => true,
            Ok(_) => false,
            Err(error) => {
                assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
                false
            }
        }
    }

    /// Each line is answered by a line, in order, with its id.
    fn judge(&self, heard: &[u8], alone: bool) {
        let mut lines = heard.split_inclusive(|byte| *byte == b'\n');
        let greeting = json(lines.next().expect("a greeting"));
        assert_eq!(greeting["vgpu-stub"]["devices"], DEVICES);
        let mut status = [0; DEVICES as usize];
        for sent in self.sent.split_inclusive(|byte| *byte == b'\n') {
            let (line, complete) = match sent.strip_suffix(b"\n") {
                Some(line) => (line, true),
                None => (sent, false),
            };
            let long = line.len() > LONGEST_REQUEST;
            if !long && (!complete || line.trim_ascii().is_empty()) {
                continue;
            }
            let reply = json(lines.next().expect("a reply"));
            if long {
                assert_eq!(reply.get("id"), None);
                refused(&reply);
                break;
            }
            let (id, command) = match Request::parse(line) {
                Ok(request) => (request.id, Some(request.command)),
                Err(invalid) => (invalid.id, None),
            };
            assert_eq!(reply.get("id"), id.map(value).as_ref());
            match command.filter(|command| number(command) < DEVICES) {
                None => refused(&reply),
                Some(command) => {
                    assert!(reply["result"].is_object() && reply.get("error").is_none());
                    let known = &mut status[number(&command) as usize];
                    match command {
                        Command::SetStatus { value, .. } => *known = value,
                        Command::Registers { .. } if alone => {
                            assert_eq!(reply["result"]["status"], *known);
                        }
                        _ => {}
                    }
                }
            }
        }
        assert!(lines.next().is_none(), "more replies than requests");
    }
}

/// The device that a command is for. The process itself is always there.
fn number(command: &Command) -> u32 {
    match command {
        Command::Registers { device }
        | Command::SetStatus { device, .. }
        | Command::Counters { device }
        | Command::Trace { device, .. }
        | Command::Info { device } => *device,
        Command::Shutdown {} => 0,
    }
}

fn value(id: Id) -> Value {
    serde_json::to_value(id).expect("an id")
}

fn refused(reply: &Value) {
    assert!(reply.get("result").is_none());
    for text in ["cause", "mend"] {
        let text = reply["error"][text].as_str().expect("a text");
        assert_eq!(text.lines().count(), 1, "{text:?}");
    }
}

fn json(line: &[u8]) -> Value {
    assert!(line.ends_with(b"\n") && line.len() <= LONGEST_REPLY + 1);
    serde_json::from_slice(line).expect("JSON")
}
