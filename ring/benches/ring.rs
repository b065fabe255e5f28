//! What a ring costs, as a ratio to what the machine's caches allow: two threads
//! that pass a cache line to and fro. Both are measured in each run, between
//! the same two threads. A run's value is that of the best tenth of its short
//! batches: what other programs on the machine take away is left out of both.
//!
//!     cargo bench -p vgpu-ring [-- RUNS]

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use vgpu_ring::guest::{Answers, Command, Commands};
use vgpu_ring::host::Host;
use vgpu_ring::layout::{ARENA, SESSION};
use vgpu_ring::{Next, Record, Slice, Wake};

const COMMAND: Command = Command {
    op: 1,
    flags: 0,
    aux: 0,
};
/// Round trips per batch: some 50 us.
const ROUNDS: u64 = 200;
const BATCHES: u64 = 100;
/// What ends the host's part of a measurement.
const STOP: u16 = 2;

/// Both sides spin: there is nobody to wake.
#[derive(Clone, Copy)]
struct Nobody;

impl Wake for Nobody {
    fn wake(&self) {}
}

/// Spins; yields at times, for where both threads share one core.
fn spin_until<T>(mut ready: impl FnMut() -> Option<T>) -> T {
    loop {
        for _ in 0..20_000 {
            if let Some(found) = ready() {
                return found;
            }
            std::hint::spin_loop();
        }
        thread::yield_now();
    }
}

type Words = &'static [AtomicU64];

/// The least of the best tenth's values.
fn best(mut batches: Vec<f64>) -> f64 {
    batches.sort_by(f64::total_cmp);
    batches[batches.len() / 10]
}

/// Nanoseconds per round of a batch, for the best batches.
fn batches(mut round: impl FnMut()) -> f64 {
    let batch = |_| {
        let start = Instant::now();
        for _ in 0..ROUNDS {
            round();
        }
        start.elapsed().as_nanos() as f64 / ROUNDS as f64
    };
    best((0..BATCHES).map(batch).collect())
}

/// Nanoseconds per round trip of a bare cache line.
fn ping_pong(words: Words) -> f64 {
    let (ping, pong) = (&words[0], &words[16]);
    ping.store(0, Ordering::Relaxed);
    pong.store(0, Ordering::Relaxed);
    let peer = thread::spawn(move || {
        for n in 1..=ROUNDS * BATCHES {
            spin_until(|| (ping.load(Ordering::Acquire) == n).then_some(()));
            pong.store(n, Ordering::Release);
        }
    });
    let mut n = 0;
    let value = batches(|| {
        n += 1;
        ping.store(n, Ordering::Release);
        spin_until(|| (pong.load(Ordering::Acquire) == n).then_some(()));
    });
    peer.join().unwrap();
    value
}

/// A session whose host answers every call with 8 bytes, until told to stop.
fn session(words: Words) -> (Slice<Words>, thread::JoinHandle<()>) {
    for word in words {
        word.store(0, Ordering::Relaxed);
    }
    let slice = Slice::new(words, &SESSION).unwrap();
    let server = thread::spawn(move || {
        let mut host = Host::new(slice, Nobody);
        let mut record = Record::boxed();
        loop {
            spin_until(|| (host.next(&mut record).unwrap() == Next::Record).then_some(()));
            let header = *record.header();
            // A call's slot; others have none.
            let _ = host
                .answers()
                .reply(header.slot, header.seq, 0, &record.payload()[..8]);
            if header.op == STOP {
                break;
            }
        }
    });
    (slice, server)
}

fn stop(commands: &mut Commands<Words>, answers: &Answers<Words>, server: thread::JoinHandle<()>) {
    let stop = Command {
        op: STOP,
        ..COMMAND
    };
    let seq = spin_until(|| commands.call(stop, 0, &[0], &[], &Nobody).ok());
    spin_until(|| answers.poll(0, seq));
    server.join().unwrap();
}

/// Nanoseconds per call with its answer.
fn round_trip(words: Words) -> f64 {
    let (slice, server) = session(words);
    let (mut commands, answers) = (Commands::new(slice), Answers::new(slice));
    let value = batches(|| {
        let seq = commands.call(COMMAND, 0, &[7; 6], &[], &Nobody).unwrap();
        spin_until(|| answers.poll(0, seq));
    });
    stop(&mut commands, &answers, server);
    value
}

/// Nanoseconds per record of `len` bytes, in bursts of half a ring: what the
/// sender spends, or until the last was consumed.
fn burst(words: Words, len: usize, consumed: bool) -> f64 {
    let (slice, server) = session(words);
    let (mut commands, answers) = (Commands::new(slice), Answers::new(slice));
    let payload = vec![7; (len - 16) / 8];
    let burst = SESSION.commands.size / len / 2;
    let batch = |_| {
        let start = Instant::now();
        for _ in 0..burst {
            commands.send(COMMAND, &payload, &[], &Nobody).unwrap();
        }
        let sent = start.elapsed();
        let seq = commands.call(COMMAND, 0, &[0], &[], &Nobody).unwrap();
        spin_until(|| answers.poll(0, seq));
        let spent = if consumed { start.elapsed() } else { sent };
        spent.as_nanos() as f64 / burst as f64
    };
    let value = best((0..BATCHES).map(batch).collect());
    stop(&mut commands, &answers, server);
    value
}

/// The median, and the quartiles around it.
fn summary(mut values: Vec<f64>) -> [f64; 3] {
    values.sort_by(f64::total_cmp);
    [1, 2, 3].map(|quarter| values[(values.len() - 1) * quarter / 4])
}

type Measure = fn(Words) -> f64;

fn main() {
    let runs = std::env::args().filter_map(|word| word.parse().ok()).next();
    let runs: usize = runs.unwrap_or(12);
    let memory: Vec<_> = (0..(ARENA + 4096) / 8).map(|_| AtomicU64::new(0)).collect();
    let words: Words = memory.leak();
    let measures: &[(&str, Measure)] = &[
        ("call and answer, 64 B", round_trip),
        ("send, 64 B", |words| burst(words, 64, false)),
        ("send, 192 B", |words| burst(words, 192, false)),
        ("stream, 64 B", |words| burst(words, 64, true)),
        ("stream, 256 B", |words| burst(words, 256, true)),
        ("stream, 1,024 B", |words| burst(words, 1024, true)),
    ];
    let mut bare = Vec::new();
    let mut absolute = vec![Vec::new(); measures.len()];
    let mut ratio = vec![Vec::new(); measures.len()];
    for _ in 0..runs {
        let unit = ping_pong(words);
        bare.push(unit);
        for (n, (_, measure)) in measures.iter().enumerate() {
            let value = measure(words);
            absolute[n].push(value);
            ratio[n].push(value / unit);
        }
    }
    println!("median of {runs} runs [quartiles]; ratio to the bare round trip of a cache line\n");
    let [low, median, high] = summary(bare);
    println!(
        "{:24} {median:7.0} ns [{low:.0}, {high:.0}]",
        "bare round trip"
    );
    for (n, (name, _)) in measures.iter().enumerate() {
        let [low, median, high] = summary(absolute[n].clone());
        print!("{name:24} {median:7.0} ns [{low:.0}, {high:.0}]   ");
        let [low, median, high] = summary(ratio[n].clone());
        println!("{median:6.2} [{low:.2}, {high:.2}]");
    }
}
