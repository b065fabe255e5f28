//! The process's log: lines for a person or a journal, by a thread of its own.
//!
//! A line is handed over without waiting: where the reader of the log is slow,
//! or a guest makes more lines than the log takes, lines are left out, and the
//! log says how many.

use std::fmt;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::access::Access;
use crate::rate::{Limit, Rate};

/// Lines that wait to be written.
const QUEUE: usize = 1024;

/// Accesses are shown because somebody has asked for them.
const ACCESSES: Limit = Limit {
    burst: 1000,
    interval: Duration::from_millis(10),
};
/// Events have no end where a guest or a client causes them: at most 1 MB a day.
const EVENTS: Limit = Limit {
    burst: 100,
    interval: Duration::from_secs(10),
};

/// Where lines go; a clone is the same log.
#[derive(Debug, Clone)]
pub struct Log {
    queue: SyncSender<Line>,
    left_out: Arc<AtomicU64>,
}

/// A line.
#[derive(Debug)]
enum Line {
    Access(Access),
    Event(String),
    /// Nothing to write; dropped once all before it is written.
    Mark {
        _written: SyncSender<()>,
    },
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Access(access) => access.fmt(f),
            Self::Event(text) => f.write_str(text),
            Self::Mark { .. } => Ok(()),
        }
    }
}

impl Log {
    /// A log whose lines, each after `prefix`, go to `output`. Its thread runs
    /// when this returns, and makes no other system calls from then on than
    /// writing takes.
    ///
    /// # Errors
    ///
    /// If there can be no thread.
    pub fn start(
        prefix: &'static str,
        output: impl Write + Send + 'static,
    ) -> std::io::Result<Self> {
        let (queue, lines) = sync_channel(QUEUE);
        let (running, started) = sync_channel(1);
        let left_out = Arc::new(AtomicU64::new(0));
        let log = Self {
            queue,
            left_out: Arc::clone(&left_out),
        };
        thread::Builder::new()
            .name("log".into())
            .stack_size(STACK)
            .spawn(move || {
                // Whoever started it waits for this.
                let _ = running.send(());
                write(prefix, output, &lines, &left_out);
            })?;
        // It fails where the thread has ended already, which it has not.
        let _ = started.recv();
        Ok(log)
    }

    /// Waits until all lines so far are written, but no longer than `limit`:
    /// the log's reader may have stopped.
    pub fn flush(&self, limit: Duration) {
        let (_written, written) = sync_channel(0);
        if self.queue.try_send(Line::Mark { _written }).is_ok() {
            // Nothing is ever sent: it ends with the mark, or with the time.
            let _: Result<(), RecvTimeoutError> = written.recv_timeout(limit);
        }
    }

    /// Says what happened.
    pub fn event(&self, text: impl Into<String>) {
        self.put(Line::Event(text.into()));
    }

    /// Shows an access. Allocates nothing.
    pub(crate) fn access(&self, access: Access) {
        self.put(Line::Access(access));
    }

    fn put(&self, line: Line) {
        if self.queue.try_send(line).is_err() {
            self.left_out.fetch_add(1, Relaxed);
        }
    }
}

/// Bytes of the thread's stack. It formats short lines.
const STACK: usize = 128 * 1024;

fn write(prefix: &str, mut output: impl Write, lines: &Receiver<Line>, left_out: &AtomicU64) {
    let now = Instant::now();
    let (mut accesses, mut events) = (Rate::new(ACCESSES, now), Rate::new(EVENTS, now));
    let mut print = |line: fmt::Arguments<'_>| {
        // A log that cannot be written to is no reason to end.
        let _ = output.write_all(format!("{prefix}{line}\n").as_bytes());
    };
    for line in lines {
        let (mark, allowed) = match line {
            Line::Access(_) => (false, accesses.allows(Instant::now())),
            Line::Event(_) => (false, events.allows(Instant::now())),
            Line::Mark { .. } => (true, true),
        };
        if !allowed {
            left_out.fetch_add(1, Relaxed);
            continue;
        }
        // In one line with the next, or a flood would have twice the lines.
        match (left_out.swap(0, Relaxed), mark) {
            (0, true) => {}
            (0, false) => print(format_args!("{line}")),
            (count, true) => print(format_args!("{count} lines left out")),
            (count, false) => print(format_args!("{count} lines left out, then: {line}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;
    use std::sync::Mutex;
    use std::sync::mpsc::sync_channel;

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

    impl Text {
        fn lines(&self) -> Vec<String> {
            let bytes = self.0.lock().unwrap().clone();
            let text = String::from_utf8(bytes).unwrap();
            text.lines().map(str::to_owned).collect()
        }
    }

    const LIMIT: Duration = Duration::from_secs(20);

    #[test]
    fn lines_come_in_order() {
        let text = Text::default();
        let log = Log::start("name: ", text.clone()).unwrap();
        log.event("first");
        log.access(Access::RESET);
        log.flush(LIMIT);
        assert_eq!(text.lines(), ["name: first", "name: reset"]);
    }

    #[test]
    fn events_have_a_limit_of_their_own() {
        let text = Text::default();
        let log = Log::start("", text.clone()).unwrap();
        for _ in 0..500 {
            log.event("event");
        }
        log.access(Access::RESET);
        log.flush(LIMIT);
        let lines = text.lines();
        assert_eq!(lines.iter().filter(|line| *line == "event").count(), 100);
        assert_eq!(lines[100..], ["400 lines left out, then: reset"]);
    }

    #[test]
    fn a_flood_has_no_more_lines_than_its_limit() {
        let text = Text::default();
        let log = Log::start("", text.clone()).unwrap();
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(1) {
            log.access(Access::RESET);
        }
        log.flush(LIMIT);
        let lines = text.lines().len() as u128;
        let most = 1000 + started.elapsed().as_millis() / 10;
        assert!((1001..=most + 1).contains(&lines), "{lines} of {most}");
    }

    /// Output that waits until it is told to go on.
    struct Stuck(Receiver<()>, Text);

    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.0.recv();
            self.1.write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_flood_and_a_stuck_reader_hold_nobody_up() {
        const FLOOD: usize = 100_000;
        let text = Text::default();
        let (go, stuck) = sync_channel(0);
        let log = Log::start("", Stuck(stuck, text.clone())).unwrap();
        for _ in 0..FLOOD {
            log.access(Access::RESET);
        }
        log.flush(Duration::from_millis(10));
        assert_eq!(text.lines(), [""; 0]);
        drop(go);

        // Nothing is lost from the count.
        let total = || {
            let count = |line: &String| match line.split_once(" lines left out") {
                Some((count, then)) => {
                    count.parse::<usize>().unwrap() + usize::from(!then.is_empty())
                }
                None => 1,
            };
            text.lines().iter().map(count).sum::<usize>()
        };
        let deadline = Instant::now() + LIMIT;
        while total() < FLOOD && Instant::now() < deadline {
            log.flush(LIMIT);
        }
        assert_eq!(total(), FLOOD);
        assert!(text.lines().len() < 1200, "{}", text.lines().len());
    }

    #[test]
    fn an_output_that_fails_is_no_matter() {
        struct Broken;
        impl Write for Broken {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::Error::other("no"))
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let log = Log::start("", Broken).unwrap();
        log.event("line");
        log.flush(LIMIT);
    }
}
