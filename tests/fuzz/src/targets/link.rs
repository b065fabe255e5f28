//! Packets between an emulator and the daemon, of any size and with any descriptors, from either end.

use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::Arc;

use rustix::io::fcntl_dupfd_cloexec;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use vgpu_abi::link::{
    ADD, ADOPT, ATTACH, CLOSE, DELETE, DESCRIPTORS, DONE, FILES, Message, OPEN, PAGE, RESET, STATE,
    VERSION,
};
use vgpu_channels::{Channels, Limits};
use vgpu_link::Link;
use vgpu_packet::try_receive;
use vgpud::link::fuzz::Connection;
use zerocopy::{FromBytes, IntoBytes};

use super::given::EVENT;
use crate::Input;

/// What Linux calls errors.
const NOENT: u32 = 2;
const NOMEM: u32 = 12;
const INVAL: u32 = 22;

/// Memory that a machine may share, where nobody says otherwise.
const MEMORY: u64 = 1 << 30;

struct Packet {
    bytes: Vec<u8>,
    descriptors: usize,
}

impl Packet {
    /// Most often a message of small numbers, with as many descriptors as its kind has.
    fn read(input: &mut Input<'_>) -> Self {
        let nature = input.u8();
        let kinds = [
            ATTACH, PAGE, OPEN, CLOSE, ADD, DELETE, RESET, STATE, DONE, ADOPT,
        ];
        let kind = kinds[usize::from(nature & 0xf) % kinds.len()];
        if nature & 0xc0 == 0 {
            let (length, descriptors) = (input.u8() % 80, input.u8() % 17);
            return Self {
                bytes: input.bytes(length.into()).to_vec(),
                descriptors: descriptors.into(),
            };
        }
        let files = match kind {
            PAGE | OPEN | ADD => input.u8() % 15,
            _ => 0,
        };
        let message = Message {
            kind,
            of: (input.u8() % 9).into(),
            status: (input.u8() % 3).into(),
            version: VERSION - u32::from(input.u8() % 4 == 3),
            channel: input.u16().into(),
            region: (input.u8() % 4).into(),
            length: u64::from(input.u32()) << (nature & 0x20),
            pieces: u32::from(input.u16()) % 20_000,
            files: files.into(),
            machine: [nature; 16],
        };
        let own = match kind {
            PAGE | ADD | ADOPT => 1,
            OPEN => 3,
            _ => 0,
        };
        let extra = usize::from(input.u8() == 0xff);
        Self {
            bytes: message.as_bytes().to_vec(),
            descriptors: (own + usize::from(files) + extra).min(DESCRIPTORS),
        }
    }

    fn message(&self) -> Option<Message> {
        Message::read_from_bytes(&self.bytes).ok()
    }

    fn send(&self, socket: &OwnedFd) {
        let rights = [EVENT.as_fd(); DESCRIPTORS];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if self.descriptors > 0 {
            control.push(SendAncillaryMessage::ScmRights(&rights[..self.descriptors]));
        }
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        let sent = sendmsg(socket, &[IoSlice::new(&self.bytes)], &mut control, flags);
        assert_eq!(sent, Ok(self.bytes.len()));
    }
}

/// What the daemon has to answer; `None` where it ends the connection.
fn answered(packet: &Packet, attached: &mut bool) -> Option<Message> {
    let message = packet.message()?;
    if !*attached {
        let attaches =
            message.kind == ATTACH && message.version == VERSION && packet.descriptors == 0;
        *attached = attaches;
        return attaches.then(|| Message {
            kind: STATE,
            status: 1,
            ..Message::default()
        });
    }
    let files = message.files as usize;
    let (own, memory) = match message.kind {
        PAGE | ADD => (1, true),
        OPEN => (3, true),
        ADOPT => (1, false),
        CLOSE | DELETE | RESET => (0, false),
        _ => return None,
    };
    let files_are_right = match memory {
        true => (1..=FILES).contains(&files),
        false => files == 0,
    };
    if !files_are_right || packet.descriptors != own + files {
        return None;
    }
    let sized =
        message.length > 0 && message.length % 4096 == 0 && (1..=16_384).contains(&message.pieces);
    let status = match message.kind {
        RESET => 0,
        PAGE if message.length == 4096 && sized => 0,
        PAGE => INVAL,
        OPEN if message.channel >= 256 => INVAL,
        // An event is no way back.
        ADOPT => INVAL,
        OPEN | ADD if !sized => INVAL,
        OPEN | ADD if message.length > MEMORY => NOMEM,
        // No channel is ever there: no worker can be started.
        _ => NOENT,
    };
    Some(Message {
        kind: DONE,
        of: message.kind,
        status,
        channel: message.channel,
        region: message.region,
        ..Message::default()
    })
}

fn to_the_daemon(input: &mut Input<'_>) {
    let (ours, theirs) = vgpu_packet::pair().expect("two sockets");
    let mut daemon = Connection::accept(theirs);
    let mut attached = false;
    while !input.is_empty() {
        let packet = Packet::read(input);
        let expected = answered(&packet, &mut attached);
        packet.send(&ours);
        let lives = daemon.turn();
        assert_eq!(lives, expected.is_some(), "{:?}", packet.message());
        let answer = try_receive::<Message>(&ours, 0);
        match expected {
            Some(expected) => {
                let answer = answer.expect("it lives").map(|(message, _)| message);
                assert_eq!(answer, Some(expected), "{:?}", packet.message());
            }
            None => return assert!(answer.is_err(), "it is over"),
        }
    }
}

fn to_the_emulator(input: &mut Input<'_>) {
    let (ours, theirs) = vgpu_packet::pair().expect("two sockets");
    let link = Link::from(theirs);
    let limits = Limits {
        channels: 2,
        regions: 2,
        bytes: MEMORY,
    };
    let mut channels = Channels::new([0; 16], limits, Arc::clone(&EVENT));
    assert_eq!(channels.connected(Box::new(link.clone())), None);
    assert!(
        try_receive::<Message>(&ours, 0)
            .expect("it attaches")
            .is_some()
    );
    while !input.is_empty() {
        let packet = Packet::read(input);
        let opens = |it: &Message| (it.kind, it.of, it.status) == (DONE, OPEN, 0);
        let expected = packet.message().filter(|it| match packet.descriptors {
            0 => true,
            1 => opens(it),
            _ => false,
        });
        packet.send(&ours);
        match (link.receive(), expected) {
            (Ok(Some((message, way))), Some(expected)) => {
                assert_eq!(
                    (message, way.is_some()),
                    (expected, packet.descriptors == 1)
                );
                // What it makes of it is for target `segments`.
                let _ = channels.received(&message, way);
            }
            // The emulator looks for another daemon then.
            (Err(_), None) => return,
            (found, expected) => panic!("{found:?} for {expected:?}"),
        }
        assert!(matches!(link.receive(), Ok(None)));
    }
}

/// The lowest free descriptor, which tells whether some were left open.
fn lowest_free() -> i32 {
    let copy = fcntl_dupfd_cloexec(&*EVENT, 0).expect("a descriptor");
    copy.as_raw_fd()
}

pub(super) fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let free = lowest_free();
    match input.u8() & 1 {
        0 => to_the_daemon(&mut input),
        _ => to_the_emulator(&mut input),
    }
    assert_eq!(lowest_free(), free, "a descriptor was left open");
}
