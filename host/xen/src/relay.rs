//! The log of the process that answers a guest, on its way to this process's own
//! stderr. What a guest has taken over may write anything, without end.

use std::io::{Read, Write};
use std::mem;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use vgpu_runtime::{Limit, Rate};
use vgpu_terminal::Printable;

/// Bytes of a line that are relayed. Its own lines have fewer.
const LONGEST: usize = 512;

/// Twice as many as it writes itself where accesses are traced, so that none of these is cut here.
const LINES: Limit = Limit {
    burst: 2000,
    interval: Duration::from_millis(5),
};

/// Bytes of the thread's stack.
const STACK: usize = 64 * 1024;

/// A log that is relayed by a thread of its own, until the other side closes it.
#[derive(Debug)]
pub(crate) struct Relay {
    /// Never sent to: it ends with the thread.
    ended: Receiver<()>,
}

impl Relay {
    /// Relays what `from` says to `to`.
    pub(crate) fn start(
        mut from: impl Read + Send + 'static,
        to: impl Write + Send + 'static,
    ) -> std::io::Result<Self> {
        let (running, ended) = sync_channel(0);
        thread::Builder::new()
            .name("relay".into())
            .stack_size(STACK)
            .spawn(move || {
                let _running = running;
                let mut lines = Lines::new(to);
                let mut chunk = [0; LONGEST];
                loop {
                    match from.read(&mut chunk) {
                        Ok(0) => break,
                        Ok(length) => lines.take(chunk.get(..length).unwrap_or_default()),
                        Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                        Err(_) => break,
                    }
                }
                lines.end();
            })?;
        Ok(Self { ended })
    }

    /// Waits until the log is closed and all of it is relayed, but no longer than
    /// `limit`: this process's own reader may have stopped.
    pub(crate) fn finish(&self, limit: Duration) {
        let _: Result<(), RecvTimeoutError> = self.ended.recv_timeout(limit);
    }
}

/// Bytes cut into lines, and as many of these as may be.
struct Lines<W> {
    to: W,
    line: Vec<u8>,
    rate: Rate,
    left_out: u64,
}

impl<W: Write> Lines<W> {
    fn new(to: W) -> Self {
        Self {
            to,
            line: Vec::new(),
            rate: Rate::new(LINES, Instant::now()),
            left_out: 0,
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        for part in bytes.split_inclusive(|&byte| byte == b'\n') {
            let text = part.strip_suffix(b"\n").unwrap_or(part);
            let room = LONGEST.saturating_sub(self.line.len());
            self.line.extend(text.iter().take(room));
            if text.len() < part.len() {
                self.put();
            }
        }
    }

    /// The other side has closed it, perhaps in the middle of a line.
    fn end(&mut self) {
        if !self.line.is_empty() || self.left_out > 0 {
            self.put();
        }
    }

    fn put(&mut self) {
        let line = mem::take(&mut self.line);
        if !self.rate.allows(Instant::now()) {
            self.left_out = self.left_out.saturating_add(1);
            return;
        }
        let mut text = String::new();
        match mem::take(&mut self.left_out) {
            0 => {}
            count => text += &format!("{count} lines left out, then: "),
        }
        text += &format!("{}\n", Printable(&String::from_utf8_lossy(&line)));
        // A log that cannot be written to is no reason to end.
        let _ = self.to.write_all(text.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Text(Arc<Mutex<Vec<u8>>>);

    impl Write for Text {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn relayed(from: impl Read + Send + 'static) -> String {
        let text = Text::default();
        let relay = Relay::start(from, text.clone()).unwrap();
        relay.finish(Duration::from_secs(20));
        String::from_utf8(text.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn lines_come_as_they_are() {
        let said = b"vgpu-stub: one\nvgpu-stub: two\nno end";
        assert_eq!(
            relayed(&said[..]),
            "vgpu-stub: one\nvgpu-stub: two\nno end\n"
        );
        assert_eq!(relayed(io::empty()), "");
    }

    #[test]
    fn a_terminal_is_told_nothing() {
        let said = b"\x1b]0;title\x07 \xff\xc2\x9b2J\r\x00\xe2\x80\xae\xe2\x80\xa8\n";
        let shown = "\\u{1b}]0;title\\u{7} \u{fffd}\\u{9b}2J\\r\\u{0}\\u{202e}\\u{2028}\n";
        assert_eq!(relayed(&said[..]), shown);
    }

    #[test]
    fn a_line_without_end_takes_no_memory() {
        let said = relayed(io::repeat(b'x').take(100 << 20));
        assert_eq!(said, "x".repeat(LONGEST) + "\n");
    }

    #[test]
    fn a_flood_is_left_out() {
        let started = Instant::now();
        let said = relayed(io::repeat(b'\n').take(1 << 20));
        let most = 2001 + started.elapsed().as_millis() / 5;
        let lines = said.lines().count() as u128;
        assert!((2000..=most).contains(&lines), "{lines} of {most}");
    }

    #[test]
    fn one_that_is_never_closed_is_not_waited_for() {
        let (_open, reader) = std::os::unix::net::UnixStream::pair().unwrap();
        let relay = Relay::start(reader, io::sink()).unwrap();
        let started = Instant::now();
        relay.finish(Duration::from_millis(50));
        assert!(started.elapsed() < Duration::from_secs(20));
    }
}
