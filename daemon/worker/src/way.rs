//! The way back to a daemon, for a worker whose own has died: [`vgpu_abi::link`] has the rules.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use vgpu_abi::link::{ADOPT, DONE, GRACE_MS, HAS, Message, VERSION, WAY};
use vgpu_packet::Error;

/// How long a worker waits until its new daemon reads what it tells.
const TELLS: Duration = Duration::from_secs(1);

/// A worker's end of it.
#[derive(Debug)]
pub(crate) struct Way {
    /// The guest's side has it, too, to hear its end.
    socket: Arc<OwnedFd>,
    /// The daemon's user, who is the worker's own, or who started it as its machine's.
    user: u32,
    /// Which engine the worker has, in the daemon's words.
    engine: u64,
}

impl Way {
    /// Takes a daemon's first message, where it is that. `user` is who daemons are.
    pub(crate) fn of(message: &Message, descriptors: Vec<OwnedFd>, user: u32) -> Option<Self> {
        let [socket] = <[OwnedFd; 1]>::try_from(descriptors).ok()?;
        (message.kind == WAY).then(|| Self {
            socket: Arc::new(socket),
            user,
            engine: message.length,
        })
    }

    pub(crate) fn socket(&self) -> Arc<OwnedFd> {
        Arc::clone(&self.socket)
    }

    /// Waits for the next daemon of a channel, whose socket it gives; `None` where none comes in time, or the emulator has
    /// given the channel up.
    pub(crate) fn next_daemon(&self, channel: u32) -> Option<OwnedFd> {
        let until = Instant::now() + Duration::from_millis(GRACE_MS);
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || !is_ready(self.socket.as_fd(), left) {
                return None;
            }
            // What is of another user, or is no such message, may be the emulator's: its guest may have taken it over.
            let received = match vgpu_packet::try_receive_from::<Message>(&self.socket, 1) {
                Err(Error::Gone) => return None,
                Ok(Some(received)) => received,
                Ok(None) | Err(_) => continue,
            };
            let (message, mut descriptors, sender) = received;
            let trusted = sender.is_some_and(|sender| sender.user == self.user);
            let meant = (message.kind, message.version, message.channel);
            if trusted && meant == (ADOPT, VERSION, channel) {
                return descriptors.pop();
            }
        }
    }

    /// Tells a new daemon what the channel shares: `(region, bytes, pieces)`, the slice first.
    pub(crate) fn tell(
        &self,
        daemon: &OwnedFd,
        channel: u32,
        shared: impl Iterator<Item = (u32, u64, u32)>,
    ) -> Result<(), Error> {
        let until = Instant::now() + TELLS;
        let has = shared.map(|(region, length, pieces)| Message {
            kind: HAS,
            channel,
            region,
            length,
            pieces,
            ..Message::default()
        });
        let done = Message {
            kind: DONE,
            of: ADOPT,
            channel,
            length: self.engine,
            ..Message::default()
        };
        for message in has.chain([done]) {
            // It may be more than a socket holds at once.
            loop {
                match vgpu_packet::send(daemon, &message, &[]) {
                    Err(Error::System(Errno::AGAIN)) if Instant::now() < until => {
                        thread::sleep(Duration::from_millis(1));
                    }
                    sent => break sent?,
                }
            }
        }
        Ok(())
    }
}

/// Whether there is something to read, or nothing will come any more, in time.
fn is_ready(socket: BorrowedFd<'_>, limit: Duration) -> bool {
    let mut files = [PollFd::from_borrowed_fd(socket, PollFlags::IN)];
    let limit = Timespec::try_from(limit).ok();
    match poll(&mut files, limit.as_ref()) {
        Ok(ready) => ready > 0,
        // It is looked at anew.
        Err(errno) => errno == Errno::INTR,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A way back, and the emulator's end of it.
    fn way() -> (Way, OwnedFd) {
        let (socket, emulators) = vgpu_packet::pair().unwrap();
        vgpu_packet::tell_senders(&socket).unwrap();
        let message = Message {
            kind: WAY,
            length: 7,
            ..Message::default()
        };
        let user = rustix::process::getuid().as_raw();
        (Way::of(&message, vec![socket], user).unwrap(), emulators)
    }

    const ADOPTS: Message = Message {
        kind: ADOPT,
        of: 0,
        status: 0,
        version: VERSION,
        channel: 3,
        region: 0,
        length: 0,
        pieces: 0,
        files: 0,
        machine: [0; 16],
    };

    #[test]
    fn a_daemon_is_taken_that_says_what_it_has_to() {
        let (way, emulator) = way();
        let (control, theirs) = vgpu_packet::pair().unwrap();
        let send = |message: &Message| {
            vgpu_packet::send(&emulator, message, &[theirs.as_fd()]).unwrap();
        };
        for wrong in [
            Message {
                kind: WAY,
                ..ADOPTS
            },
            Message {
                version: VERSION + 1,
                ..ADOPTS
            },
            Message {
                channel: 4,
                ..ADOPTS
            },
        ] {
            send(&wrong);
        }
        vgpu_packet::send(&emulator, &7_u8, &[]).unwrap();
        vgpu_packet::send(&emulator, &ADOPTS, &[]).unwrap();
        let two = [theirs.as_fd(); 2];
        vgpu_packet::send(&emulator, &ADOPTS, &two).unwrap();
        drop(emulator);
        assert!(way.next_daemon(3).is_none(), "none of them is one");

        let (way, emulator) = self::way();
        vgpu_packet::send(&emulator, &ADOPTS, &[theirs.as_fd()]).unwrap();
        let daemon = way.next_daemon(3).unwrap();
        way.tell(&daemon, 3, [(0, 4096, 1), (2, 8192, 2)].into_iter())
            .unwrap();
        let told: Vec<_> = (0..3)
            .map(|_| vgpu_packet::receive::<Message>(&control, 0).unwrap().0)
            .map(|it| (it.kind, it.region, it.length, it.pieces))
            .collect();
        assert_eq!(
            told,
            [(HAS, 0, 4096, 1), (HAS, 2, 8192, 2), (DONE, 0, 7, 0)]
        );
    }

    #[test]
    fn nobody_of_another_user_is_taken() {
        let (mut way, emulator) = way();
        way.user += 1;
        let (_control, theirs) = vgpu_packet::pair().unwrap();
        vgpu_packet::send(&emulator, &ADOPTS, &[theirs.as_fd()]).unwrap();
        drop(emulator);
        assert!(way.next_daemon(3).is_none());
    }

    #[test]
    fn without_a_daemon_the_end_comes_in_time_whatever_the_emulator_sends() {
        let (way, emulator) = way();
        let began = Instant::now();
        let flood = thread::spawn(move || {
            while began.elapsed() < Duration::from_secs(9)
                && !matches!(vgpu_packet::send(&emulator, &7_u64, &[]), Err(Error::Gone))
            {
            }
        });
        assert!(way.next_daemon(3).is_none());
        let took = began.elapsed();
        let expected = Duration::from_millis(GRACE_MS);
        assert!((expected..expected * 3 / 2).contains(&took), "{took:?}");
        drop(way);
        flood.join().unwrap();
    }

    #[test]
    fn an_emulator_that_gives_up_is_heard_at_once() {
        for shut_down in [false, true] {
            let (way, emulator) = way();
            let began = Instant::now();
            let kept = match shut_down {
                true => {
                    rustix::net::shutdown(&emulator, rustix::net::Shutdown::Write).unwrap();
                    Some(emulator)
                }
                false => {
                    drop(emulator);
                    None
                }
            };
            assert!(way.next_daemon(3).is_none());
            assert!(began.elapsed() < Duration::from_secs(1));
            drop(kept);
        }
    }
}
