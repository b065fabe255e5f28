//! The process's log: lines for a person or a journal, by a thread of its own.
//!
//! A line is handed over without waiting: where the reader of the log is slow,
//! or a guest makes more lines than the log takes, lines are left out, and the
//! log says how many. What a guest or a client causes leaves out nothing of
//! what the host has to say.

use std::fmt;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::access::Access;
use crate::rate::{Limit, Rate};

/// Who causes a line. Each has lines of its own, so that none can push out
/// another's.
#[derive(Debug, Clone, Copy)]
enum Cause {
    /// Accesses, which are shown because somebody has asked for them.
    Trace,
    /// A guest or a client, whose events have no end.
    Guest,
    /// The host: what an operator has to know of.
    Host,
}

/// How many lines a cause may have.
struct Budget {
    /// Lines that wait to be written.
    waiting: usize,
    written: Limit,
}

/// At most 1 MB a day.
const EVENTS: Budget = Budget {
    waiting: 256,
    written: Limit {
        burst: 100,
        interval: Duration::from_secs(10),
    },
};
const ACCESSES: Budget = Budget {
    waiting: 1024,
    written: Limit {
        burst: 1000,
        interval: Duration::from_millis(10),
    },
};
/// By [`Cause`].
const BUDGETS: [Budget; 3] = [ACCESSES, EVENTS, EVENTS];

/// Lines that wait in all, and marks.
const QUEUE: usize = ACCESSES.waiting + 2 * EVENTS.waiting + 8;

/// Where lines go; a clone is the same log.
#[derive(Debug, Clone)]
pub struct Log {
    queue: SyncSender<Line>,
    counts: Arc<Counts>,
}

/// What the threads that make lines and the one that writes them share.
#[derive(Debug, Default)]
struct Counts {
    /// Lines that wait, by [`Cause`].
    waiting: [AtomicUsize; BUDGETS.len()],
    left_out: AtomicU64,
}

/// A line.
#[derive(Debug)]
enum Line {
    Access(Access),
    Event(Cause, String),
    /// Nothing to write; dropped once all before it is written.
    Mark {
        _written: SyncSender<()>,
    },
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Access(access) => access.fmt(f),
            Self::Event(_, text) => f.write_str(text),
            Self::Mark { .. } => Ok(()),
        }
    }
}

impl Line {
    /// None for a mark.
    fn cause(&self) -> Option<Cause> {
        match self {
            Self::Access(_) => Some(Cause::Trace),
            Self::Event(cause, _) => Some(*cause),
            Self::Mark { .. } => None,
        }
    }
}

impl Log {
    /// How long the last lines may take to be written where a process ends.
    pub const LAST_LINES: Duration = Duration::from_secs(1);

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
        let counts = Arc::new(Counts::default());
        let log = Self {
            queue,
            counts: Arc::clone(&counts),
        };
        thread::Builder::new()
            .name("log".into())
            .stack_size(STACK)
            .spawn(move || {
                // Whoever started it waits for this.
                let _ = running.send(());
                write(prefix, output, &lines, &counts);
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

    /// Says what happened by the host's doing, or to it.
    pub fn event(&self, text: impl Into<String>) {
        self.put(Cause::Host, || Line::Event(Cause::Host, text.into()));
    }

    /// Says what a guest or a client has caused, which may do so without end.
    pub fn guest_event(&self, text: impl Into<String>) {
        self.put(Cause::Guest, || Line::Event(Cause::Guest, text.into()));
    }

    /// Shows an access. Allocates nothing.
    pub(crate) fn access(&self, access: Access) {
        self.put(Cause::Trace, || Line::Access(access));
    }

    fn put(&self, cause: Cause, line: impl FnOnce() -> Line) {
        let (waiting, budget) = (self.counts.waiting(cause), cause.budget());
        let one_more = |count: usize| (count < budget.waiting).then(|| count.saturating_add(1));
        // There is room in the queue for all that may wait.
        if waiting.fetch_update(Relaxed, Relaxed, one_more).is_err()
            || self.queue.try_send(line()).is_err()
        {
            self.counts.left_out.fetch_add(1, Relaxed);
        }
    }
}

impl Cause {
    fn budget(self) -> &'static Budget {
        const { &BUDGETS }.get(self as usize).unwrap_or(&EVENTS)
    }
}

impl Counts {
    fn waiting(&self, cause: Cause) -> &AtomicUsize {
        let [trace, guest, host] = &self.waiting;
        match cause {
            Cause::Trace => trace,
            Cause::Guest => guest,
            Cause::Host => host,
        }
    }
}

/// Bytes of the thread's stack. It formats short lines.
const STACK: usize = 128 * 1024;

fn write(prefix: &str, mut output: impl Write, lines: &Receiver<Line>, counts: &Counts) {
    let now = Instant::now();
    let mut rates = BUDGETS.map(|budget| Rate::new(budget.written, now));
    let mut print = |line: fmt::Arguments<'_>| {
        // A log that cannot be written to is no reason to end.
        let _ = output.write_all(format!("{prefix}{line}\n").as_bytes());
    };
    for line in lines {
        let cause = line.cause();
        if let Some(cause) = cause {
            counts.waiting(cause).fetch_sub(1, Relaxed);
            let rate = rates.get_mut(cause as usize);
            if !rate.is_some_and(|rate| rate.allows(Instant::now())) {
                counts.left_out.fetch_add(1, Relaxed);
                continue;
            }
        }
        // In one line with the next, or a flood would have twice the lines.
        match (counts.left_out.swap(0, Relaxed), cause) {
            (0, None) => {}
            (0, Some(_)) => print(format_args!("{line}")),
            (count, None) => print(format_args!("{count} lines left out")),
            (count, Some(_)) => print(format_args!("{count} lines left out, then: {line}")),
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

        /// Lines that are there, and those that are said to be left out.
        fn total(&self) -> usize {
            let count = |line: &String| match line.split_once(" lines left out") {
                Some((count, then)) => {
                    count.parse::<usize>().unwrap() + usize::from(!then.is_empty())
                }
                None => 1,
            };
            self.lines().iter().map(count).sum()
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
        let events = lines.iter().filter(|line| line.ends_with("event"));
        assert_eq!(events.count(), 100);
        assert_eq!(lines.len(), 101);
        assert!(lines[100].ends_with(" lines left out, then: reset"));
        assert_eq!(text.total(), 501);
    }

    /// Neither by the number of lines that are written, nor by the number that
    /// wait while the log's reader is slow.
    #[test]
    fn what_guests_cause_pushes_out_nothing_of_the_host() {
        for stuck in [false, true] {
            let text = Text::default();
            let (go, wait) = sync_channel(0);
            let log = match stuck {
                true => Log::start("", Stuck(wait, text.clone())),
                false => Log::start("", text.clone()),
            };
            let log = log.unwrap();
            for _ in 0..5000 {
                log.access(Access::RESET);
                log.guest_event("caused");
            }
            log.event("the host says this");
            for _ in 0..5000 {
                log.access(Access::RESET);
                log.guest_event("caused");
            }
            log.event("and that");
            drop(go);
            // A flood leaves no room for the flush's own mark at first.
            let deadline = Instant::now() + LIMIT;
            let said = |what: &str| text.lines().iter().any(|line| line.ends_with(what));
            while !(said("the host says this") && said("and that")) {
                assert!(Instant::now() < deadline, "stuck: {stuck}");
                log.flush(Duration::from_millis(10));
            }
            assert!(text.lines().len() < 1300, "{}", text.lines().len());
        }
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
        let deadline = Instant::now() + LIMIT;
        while text.total() < FLOOD && Instant::now() < deadline {
            log.flush(LIMIT);
        }
        assert_eq!(text.total(), FLOOD);
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
