//! A server to test against: two devices of plain values.
#![allow(dead_code, unreachable_pub, reason = "each test uses a part of this")]

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::thread;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde_json::Value;
use tempfile::TempDir;
use vgpu_control::protocol::{Counters, Error, Greeting, Info, Registers};
use vgpu_control::{Server, Service};
use vgpu_device::Register;
use vgpu_socket::Listener;

pub const DEVICES: u32 = 2;

/// More steps than any test needs: the server spins.
const TOO_MANY_STEPS: usize = 100_000;

#[derive(Debug, Default)]
struct State {
    status: [u32; DEVICES as usize],
    trace_access: bool,
    shutdown: bool,
    calls: usize,
}

/// What the clients reach.
#[derive(Debug, Default)]
pub struct Devices(Mutex<State>);

impl Devices {
    pub fn shutdown_requested(&self) -> bool {
        self.0.lock().unwrap().shutdown
    }

    /// How many commands were executed.
    pub fn calls(&self) -> usize {
        self.0.lock().unwrap().calls
    }

    fn on<T>(&self, device: u32, act: impl FnOnce(&mut State) -> T) -> Result<T, Error> {
        if device >= DEVICES {
            return Err(Error::no_such_device(device, DEVICES));
        }
        let mut state = self.0.lock().unwrap();
        state.calls += 1;
        Ok(act(&mut state))
    }
}

impl Service for Devices {
    fn greeting(&self) -> Greeting {
        Greeting::new("vfio-user", "0.1.0", DEVICES)
    }

    fn registers(&self, device: u32) -> Result<Registers, Error> {
        self.on(device, |state| {
            Registers::new(&[
                (Register::Command, 1),
                (Register::Status, state.status[device as usize]),
                (Register::DataOffset, 32),
                (Register::DataLength, 992),
                (Register::RequestId, 7),
            ])
        })
    }

    fn set_status(&self, device: u32, value: u32) -> Result<(), Error> {
        self.on(device, |state| state.status[device as usize] = value)
    }

    fn counters(&self, device: u32) -> Result<Counters, Error> {
        self.on(device, |_| Counters {
            config_reads: 410,
            config_writes: 38,
            bar0_reads: 12,
            bar0_writes: 5,
            refused_reads: 1,
            refused_writes: 0,
            resets: 2,
            connections: 1,
        })
    }

    fn trace_access(&self, device: u32, on: bool) -> Result<(), Error> {
        self.on(device, |state| state.trace_access = on)
    }

    fn info(&self, device: u32) -> Result<Info, Error> {
        self.on(device, |state| Info {
            connected: true,
            trace_access: state.trace_access,
            uptime_seconds: 93,
            vendor_id: 0x1af4,
            device_id: 0x1111,
            subsystem_vendor_id: 0x1af4,
            subsystem_id: 0x1111,
            revision: 1,
            bar0_size: 4096,
        })
    }

    fn shutdown(&self) -> Result<(), Error> {
        self.on(0, |state| state.shutdown = true)
    }
}

pub fn listener(folder: &Path) -> Listener {
    Listener::bind(&folder.join("control"), 0o600).unwrap()
}

/// A server that takes its steps when the test says so.
pub struct Stepped {
    _folder: TempDir,
    pub server: Server,
    pub devices: Devices,
}

impl Stepped {
    pub fn new() -> Self {
        let folder = TempDir::new().unwrap();
        Self {
            server: Server::new(listener(folder.path())).unwrap(),
            _folder: folder,
            devices: Devices::default(),
        }
    }

    /// A client that is connected, greeted or not.
    pub fn connect(&self) -> Peer {
        let stream = UnixStream::connect(self.server.path()).unwrap();
        stream.set_nonblocking(true).unwrap();
        Peer(stream)
    }

    /// A client that has read its greeting.
    pub fn greeted(&mut self) -> Peer {
        let mut peer = self.connect();
        self.settle();
        let greeting = peer.replies();
        assert!(greeting[0]["vgpu-stub"].is_object(), "{greeting:?}");
        peer
    }

    /// Takes one step, if the server has one to take.
    pub fn step(&mut self) -> bool {
        let mut fds = [PollFd::new(&self.server, PollFlags::IN)];
        let ready = poll(&mut fds, Some(&Timespec::default())).unwrap() > 0;
        if ready {
            self.server.ready(&self.devices);
        }
        ready
    }

    /// Takes steps until the server is at rest, and returns how many.
    pub fn settle(&mut self) -> usize {
        (0..TOO_MANY_STEPS)
            .find(|_| !self.step())
            .expect("the server never comes to rest")
    }

    /// The one reply to one request.
    pub fn ask(&mut self, peer: &mut Peer, request: impl AsRef<[u8]>) -> Value {
        peer.send(request);
        peer.send("\n");
        self.settle();
        let mut replies = peer.replies();
        assert_eq!(replies.len(), 1, "{replies:?}");
        replies.remove(0)
    }

    /// Shows that the server still serves, new clients and this one.
    pub fn assert_alive(&mut self, peer: &mut Peer) {
        for peer in [peer, &mut self.greeted()] {
            let reply = self.ask(peer, r#"{"id":"alive","command":"info"}"#);
            assert_eq!(reply["id"], "alive", "{reply}");
            assert!(reply["result"].is_object(), "{reply}");
        }
        self.settle();
    }
}

/// The bare end of a connection, which never waits.
pub struct Peer(pub UnixStream);

impl Peer {
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).unwrap();
    }

    /// All that has come, and whether the server has closed the connection.
    pub fn received(&mut self) -> (Vec<u8>, bool) {
        let mut bytes = Vec::new();
        let closed = match self.0.read_to_end(&mut bytes) {
            Ok(_) => true,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => false,
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => true,
            Err(error) => panic!("{error}"),
        };
        (bytes, closed)
    }

    /// The lines that have come on a connection that goes on.
    #[track_caller]
    pub fn replies(&mut self) -> Vec<Value> {
        let (bytes, closed) = self.received();
        assert!(!closed, "{}", String::from_utf8_lossy(&bytes));
        lines(&bytes)
    }

    /// The lines that have come before the server closed the connection.
    #[track_caller]
    pub fn last_words(&mut self) -> Vec<Value> {
        let (bytes, closed) = self.received();
        assert!(closed);
        lines(&bytes)
    }
}

pub fn lines(bytes: &[u8]) -> Vec<Value> {
    assert!(bytes.is_empty() || bytes.ends_with(b"\n"));
    let lines = bytes.split_inclusive(|&byte| byte == b'\n');
    lines
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect()
}

#[track_caller]
pub fn assert_error(reply: &Value, cause: &str) {
    let error = &reply["error"];
    assert!(reply.get("result").is_none(), "{reply}");
    for text in [&error["cause"], &error["mend"]] {
        assert_eq!(text.as_str().unwrap().lines().count(), 1, "{reply}");
    }
    let found = error["cause"].as_str().unwrap();
    assert!(found.contains(cause), "{cause:?} is not in {found:?}");
}

/// Runs `test` with the path of a server that runs until the test is over or
/// somebody shuts it down.
pub fn with_server(test: impl FnOnce(&Path)) {
    let folder = TempDir::new().unwrap();
    let listener = listener(folder.path());
    let path: PathBuf = listener.path().to_owned();
    let (stop, stopped) = UnixStream::pair().unwrap();
    thread::scope(|scope| {
        scope.spawn(move || {
            let mut server = Server::new(listener).unwrap();
            let devices = Devices::default();
            while !devices.shutdown_requested() {
                let fds = &mut [
                    PollFd::new(&server, PollFlags::IN),
                    PollFd::new(&stopped, PollFlags::IN),
                ];
                poll(fds, None).unwrap();
                if !fds[1].revents().is_empty() {
                    break;
                }
                server.ready(&devices);
            }
        });
        // Dropped when the test panics too, or the scope would wait for good.
        let _stop = stop;
        test(&path);
    });
}
