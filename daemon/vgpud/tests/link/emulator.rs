//! A process that says that it has a machine's device, with guest memory that lies in pieces of two files.

use std::fs;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, eventfd};
use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
use tempfile::TempDir;
use vgpu_abi::link::{
    ADD, ADOPT, ATTACH, CLOSE, DELETE, DESCRIPTORS, DONE, LOST, Message, OPEN, PAGE, Piece, STATE,
    VERSION,
};
use vgpu_ring::echo::{ECHO, FILL, Fill, HASH, Range};
use vgpu_ring::guest::{self, Answers, Commands};
use vgpu_ring::layout::{SESSION, SESSION_ABI, SLICE_SIZE};
use vgpu_ring::version::Half;
use vgpu_ring::{Memory as _, Park, Reply, Slice};
use vgpu_transport::{Event, SpinFor};
use vgpu_window::Window;
use zerocopy::IntoBytes;

/// A machine of this process's own: daemons of other tests note users for theirs at the same place.
pub(crate) fn this_machine() -> [u8; 16] {
    let mut uuid = *b"a machine's uuid";
    uuid[12..].copy_from_slice(&std::process::id().to_ne_bytes());
    uuid
}

/// How long anything may take that does not fail.
const SOON: Duration = Duration::from_secs(20);

/// `vgpud link` with the service that echoes.
pub(crate) struct Daemon {
    pub(crate) child: Child,
    folder: TempDir,
    command: Command,
}

impl Daemon {
    pub(crate) fn start() -> Self {
        Self::with(|_, _| {})
    }

    pub(crate) fn with(prepare: impl FnOnce(&mut Command, &Path)) -> Self {
        let folder = TempDir::new().unwrap();
        let log = fs::File::create(folder.path().join("log")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_vgpud"));
        command
            .args(["link", "--engine", "echo", "--socket"])
            .arg(folder.path().join("link"))
            .env_remove("NOTIFY_SOCKET")
            .stdin(Stdio::null())
            .stderr(log);
        prepare(&mut command, folder.path());
        let daemon = Self {
            child: command.spawn().unwrap(),
            folder,
            command,
        };
        daemon.wait();
        daemon
    }

    fn wait(&self) {
        let start = Instant::now();
        while vgpu_packet::connect(&self.path()).is_err() {
            assert!(start.elapsed() < SOON, "{}", self.log());
            thread::sleep(Duration::from_millis(2));
        }
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Another one in its place, which was killed.
    pub(crate) fn start_again(&mut self) {
        self.child = self.command.spawn().unwrap();
        self.wait();
    }

    pub(crate) fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("link")
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    pub(crate) fn descriptors(&self) -> usize {
        let folder = format!("/proc/{}/fd", self.child.id());
        fs::read_dir(folder).unwrap().count()
    }
}

/// Where emulators attach.
pub(crate) trait Place {
    fn socket(&self) -> std::path::PathBuf;
}

impl Place for Daemon {
    fn socket(&self) -> std::path::PathBuf {
        self.path()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Bytes of each file of a machine's memory, which are there once they are used.
pub(crate) const RAM: u64 = 4 << 30;

/// A machine's memory.
pub(crate) struct Ram {
    pub(crate) files: [OwnedFd; 2],
    /// Bytes of each that are given away.
    used: u64,
}

/// Bytes of a piece, and what lies between two of them.
const PIECE: u64 = 64 << 10;

impl Ram {
    pub(crate) fn new() -> Self {
        let file = |_| {
            let file = memfd_create("vgpu-test-ram", MemfdFlags::ALLOW_SEALING).unwrap();
            ftruncate(&file, RAM).unwrap();
            file
        };
        Self {
            files: [0, 1].map(file),
            used: 0,
        }
    }

    /// Memory in pieces that lie backwards, in one file and then in the other.
    pub(crate) fn take(&mut self, length: u64) -> Vec<Piece> {
        let count = length.div_ceil(PIECE);
        let first = self.used;
        self.used += count * 2 * PIECE;
        let piece = |n| Piece {
            offset: first + (count - 1 - n) * 2 * PIECE,
            length: PIECE.min(length - n * PIECE),
            file: (n % 2) as u32,
            reserved: 0,
        };
        (0..count).map(piece).collect()
    }

    pub(crate) fn window(&self, pieces: &[Piece]) -> Window {
        let length = pieces.iter().map(|piece| piece.length).sum();
        let pieces = pieces.iter().map(|piece| vgpu_window::Piece {
            file: piece.file as usize,
            offset: piece.offset,
            length: piece.length,
        });
        Window::assemble(&self.files, &pieces.collect::<Vec<_>>(), length).unwrap()
    }
}

pub(crate) struct Emulator {
    pub(crate) socket: OwnedFd,
    machine: [u8; 16],
    pub(crate) ram: Ram,
    pub(crate) lost: Vec<u32>,
    /// Answers that came while another was waited for.
    answers: Vec<Message>,
    page: Option<Window>,
    /// The ways back to workers, as they came.
    pub(crate) ways: Vec<(u32, OwnedFd)>,
}

impl Emulator {
    pub(crate) fn attach(daemon: &Daemon) -> Self {
        Self::of(daemon, this_machine()).expect("attached")
    }

    /// `None` where the daemon ends the connection instead.
    pub(crate) fn of(daemon: &impl Place, machine: [u8; 16]) -> Option<Self> {
        Some(Self {
            socket: attached(daemon, machine)?,
            machine,
            ram: Ram::new(),
            lost: Vec::new(),
            answers: Vec::new(),
            page: None,
            ways: Vec::new(),
        })
    }

    /// Attaches to a daemon that has followed its own.
    pub(crate) fn attach_again(&mut self, daemon: &Daemon) {
        self.socket = attached(daemon, self.machine).expect("attached");
    }

    /// Has the daemon adopt a channel.
    pub(crate) fn adopt(&mut self, channel: u32) -> u32 {
        let message = Message {
            kind: ADOPT,
            channel,
            ..Message::default()
        };
        let (_, way) = self
            .ways
            .iter()
            .find(|(number, _)| *number == channel)
            .unwrap();
        self.send(&message, &[way.as_fd()]);
        self.answer(&message)
    }

    pub(crate) fn send(&self, message: &Message, descriptors: &[BorrowedFd<'_>]) {
        vgpu_packet::send(&self.socket, message, descriptors).unwrap();
    }

    /// Takes what the daemon says; `false` where it has ended the connection, or says nothing for so long.
    pub(crate) fn hear(&mut self, within: Duration) -> bool {
        if !vgpu_poll::is_readable(&self.socket, within).unwrap() {
            return false;
        }
        match vgpu_packet::receive::<Message>(&self.socket, DESCRIPTORS) {
            Ok((message, _)) if message.kind == LOST => self.lost.push(message.channel),
            Ok((message, ways)) => {
                self.answers.push(message);
                let ways = ways.into_iter().map(|way| (message.channel, way));
                self.ways.extend(ways);
            }
            Err(_) => return false,
        }
        true
    }

    /// The status of the answer to a message.
    pub(crate) fn answer(&mut self, to: &Message) -> u32 {
        loop {
            let of = (to.kind, to.channel, to.region);
            let place = self.answers.iter().position(|answer| {
                answer.kind == DONE && (answer.of, answer.channel, answer.region) == of
            });
            if let Some(place) = place {
                return self.answers.remove(place).status;
            }
            assert!(self.hear(SOON), "no answer to {to:?}");
        }
    }

    pub(crate) fn ask(&mut self, message: &Message, descriptors: &[BorrowedFd<'_>]) -> u32 {
        self.send(message, descriptors);
        self.answer(message)
    }

    /// A message about memory, and its descriptors but for the files.
    pub(crate) fn about(kind: u32, pieces: &[Piece]) -> (Message, OwnedFd) {
        let message = Message {
            kind,
            length: pieces.iter().map(|piece| piece.length).sum(),
            pieces: pieces.len() as u32,
            files: 2,
            ..Message::default()
        };
        (message, vgpu_packet::sealed::write(pieces).unwrap())
    }

    /// Sends a message about memory; gives the status of its answer.
    pub(crate) fn ask_about(&mut self, message: &Message, first: &[&OwnedFd]) -> u32 {
        self.send_about(message, first);
        self.answer(message)
    }

    pub(crate) fn send_about(&self, message: &Message, first: &[&OwnedFd]) {
        let files = self.ram.files.iter();
        let all: Vec<_> = first
            .iter()
            .copied()
            .chain(files)
            .map(AsFd::as_fd)
            .collect();
        self.send(message, &all);
    }

    /// Gives the daemon the device's page.
    pub(crate) fn give_page(&mut self) -> u32 {
        let pieces = self.ram.take(4096);
        let (message, list) = Self::about(PAGE, &pieces);
        self.page = Some(self.ram.window(&pieces));
        self.ask_about(&message, &[&list])
    }

    pub(crate) fn open(&mut self, channel: u32) -> Guest {
        let (status, guest) = self.try_open(channel);
        assert_eq!(status, 0);
        guest
    }

    pub(crate) fn try_open(&mut self, channel: u32) -> (u32, Guest) {
        let pieces = self.ram.take(SLICE_SIZE as u64);
        let (message, list) = Self::about(OPEN, &pieces);
        let message = Message { channel, ..message };
        let event = || eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).unwrap();
        let (doorbell, interrupt) = (event(), event());
        let status = self.ask_about(&message, &[&list, &doorbell, &interrupt]);
        let slice = Slice::new(self.ram.window(&pieces), &SESSION).unwrap();
        Half::Guest.state(slice.memory(), SESSION_ABI);
        let guest = Guest {
            commands: Commands::new(slice.clone()),
            answers: Answers::new(slice),
            doorbell: doorbell.into(),
            sleep: Sleep {
                interrupt: interrupt.into(),
                pending: self.page.clone().map(|page| (page, channel)),
            },
        };
        (status, guest)
    }

    pub(crate) fn add(&mut self, channel: u32, region: u32, length: u64) -> (u32, Window) {
        let pieces = self.ram.take(length);
        let (message, list) = Self::about(ADD, &pieces);
        let message = Message {
            channel,
            region,
            ..message
        };
        let status = self.ask_about(&message, &[&list]);
        (status, self.ram.window(&pieces))
    }

    pub(crate) fn delete(&mut self, channel: u32, region: u32) -> u32 {
        let message = Message {
            kind: DELETE,
            channel,
            region,
            ..Message::default()
        };
        self.ask(&message, &[])
    }

    pub(crate) fn close(&mut self, channel: u32) -> u32 {
        let message = Message {
            kind: CLOSE,
            channel,
            ..Message::default()
        };
        let status = self.ask(&message, &[]);
        self.ways.retain(|(number, _)| *number != channel);
        status
    }
}

/// A connection to a daemon that has a machine; `None` where it ends that instead.
fn attached(daemon: &impl Place, machine: [u8; 16]) -> Option<OwnedFd> {
    let socket = vgpu_packet::connect(&daemon.socket()).unwrap();
    let attach = Message {
        kind: ATTACH,
        version: VERSION,
        machine,
        ..Message::default()
    };
    vgpu_packet::send(&socket, &attach, &[]).ok()?;
    let (state, _) = vgpu_packet::receive::<Message>(&socket, 0).ok()?;
    assert_eq!((state.kind, state.status), (STATE, 1));
    Some(socket)
}

/// A guest's end of a channel.
pub(crate) struct Guest {
    commands: Commands<Window>,
    answers: Answers<Window>,
    doorbell: Event,
    sleep: Sleep,
}

/// Sleeps until the interrupt, with its bit where there is a page for it.
struct Sleep {
    interrupt: Event,
    pending: Option<(Window, u32)>,
}

impl Park for Sleep {
    type Ticket = ();
    type Lost = ();

    fn ticket(&self) {}

    fn park(&self, (): ()) -> Result<(), ()> {
        if !vgpu_poll::is_readable(&self.interrupt, SOON).unwrap() {
            return Err(());
        }
        self.interrupt.clear();
        let Some((page, channel)) = &self.pending else {
            return Ok(());
        };
        let (word, bit) = (*channel as usize / 64, 1 << (channel % 64));
        let found = page.words()[word].fetch_and(!bit, Ordering::Acquire);
        if found & bit == 0 { Err(()) } else { Ok(()) }
    }
}

impl Guest {
    pub(crate) fn call(&mut self, op: u16, payload: &[u8], spin: Duration) -> Reply {
        let command = guest::Command {
            op,
            flags: 0,
            aux: 0,
        };
        let (commands, answers) = (&mut self.commands, &self.answers);
        let seq = commands.call(command, 3, &[], payload, &self.doorbell);
        let seq = seq.unwrap();
        let answer = answers.wait(&self.sleep, SpinFor::new(spin), || answers.poll(3, seq));
        answer.expect("woken, with its bit")
    }

    /// Sends a message of CUDA's that wants no answer; gives whether there was room for it.
    pub(crate) fn sends(&mut self, op: u16, message: &[u64], data: &[u8]) -> bool {
        let command = Self::command(op, data);
        let sent = self.commands.send(command, message, data, &self.doorbell);
        sent.is_ok()
    }

    /// Sends one that wants an answer, and waits for that.
    pub(crate) fn asks(&mut self, op: u16, message: &[u64], data: &[u8]) -> Option<Reply> {
        let command = Self::command(op, data);
        let (commands, answers) = (&mut self.commands, &self.answers);
        let seq = commands
            .call(command, 3, message, data, &self.doorbell)
            .ok()?;
        let spin = SpinFor::new(Duration::from_millis(1));
        answers
            .wait(&self.sleep, spin, || answers.poll(3, seq))
            .ok()
    }

    /// What it is served in, and its session's fault.
    pub(crate) fn slice(&self) -> (&Window, Option<i32>) {
        let fault = self.answers.fault().map(|(status, _)| status);
        (self.answers.slice().memory(), fault)
    }

    const fn command(op: u16, data: &[u8]) -> guest::Command {
        guest::Command {
            op,
            flags: 0,
            aux: data.len() as u32,
        }
    }

    /// Writes into the arena of its slice.
    pub(crate) fn writes(&self, offset: usize, bytes: &[u8]) -> bool {
        self.answers.slice().arena_write(offset, bytes)
    }

    pub(crate) fn echoes(&mut self) {
        self.echoes_after(Duration::from_micros(20));
    }

    /// Where it spins that long for an answer.
    pub(crate) fn echoes_after(&mut self, spin: Duration) {
        let sent = [0x5a; 48];
        let reply = self.call(ECHO, &sent, spin);
        assert_eq!((reply.status, reply.inline()), (0, &sent[..]));
    }

    /// The hash of a range, or the status of a refusal.
    pub(crate) fn hash(&mut self, range: Range, seed: Option<u64>) -> Result<u64, i32> {
        let spin = Duration::from_millis(1);
        let reply = match seed {
            None => self.call(HASH, range.as_bytes(), spin),
            Some(seed) => self.call(FILL, Fill { range, seed }.as_bytes(), spin),
        };
        match reply.status {
            0 => Ok(u64::from_le_bytes(reply.inline().try_into().unwrap())),
            status => Err(status),
        }
    }
}
