//! What calls cost in a virtual machine whose device has the null engine. Those that nobody waits for are held against the
//! same calls whose records nobody reads meanwhile ([`alone`]), and against the same records put into memory of this process
//! alone, without the library ([`record`]); those that wait, against a word that goes to and fro between this process and a
//! worker of the host. That worker is another device's, which echoes ([`vgpu_ring::echo`]). A line of JSON.
//!
//!     vgpu run --engine null -- driver-cost RUNS    /dev/vgpu0 has the null engine, /dev/vgpu1 echoes; without them, calls
//!                                                   that nobody waits for, by a worker of this machine
//!     driver-cost stays                             keeps a session, and does nothing
#![allow(unsafe_code)]

mod alone;
mod batch;
mod cuda;
mod line;
mod record;

use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use vgpu_transport::driver::Driver;
use vgpu_transport::local::VARIABLE;

use alone::Alone;
use batch::{WARM, batch};
use cuda::{BYTES, Cuda};
use line::{ECHOES, Line};
use record::Private;

/// The library, as programs name it.
const LIBRARY: &str = "libcuda.so.1";
/// Batches of each kind in a run, in turns.
const BATCHES: usize = 30;
/// Between two kinds: the worker of the last one sleeps by then, and leaves its processor to the next.
const REST: Duration = Duration::from_millis(1);
/// Between two runs: the host may put its threads elsewhere.
const PAUSE: Duration = Duration::from_secs(2);

/// What was measured of a call: nanoseconds of it and of its peer, and their ratio, of each run.
#[derive(Default)]
struct Row {
    ns: Vec<f64>,
    peer_ns: Vec<f64>,
    ratio: Vec<f64>,
}

/// The batches of a run: of a call, and beside each of its peer.
#[derive(Default)]
struct Pairs(Vec<(f64, f64)>);

impl Row {
    fn add(&mut self, Pairs(pairs): &Pairs) {
        let median = |value: fn(&(f64, f64)) -> f64| {
            let mut values: Vec<_> = pairs.iter().map(value).collect();
            values.sort_unstable_by(f64::total_cmp);
            values[values.len() / 2]
        };
        self.ns.push(median(|it| it.0));
        self.peer_ns.push(median(|it| it.1));
        self.ratio.push(median(|it| it.0 / it.1));
    }
}

/// What is measured: a call, and what it is held against.
const NAMES: [&str; 6] = [
    "cuLaunchKernel",
    "cuMemsetD32Async",
    "cuLaunchKernel, record",
    "cuMemsetD32Async, record",
    "cuStreamSynchronize",
    "cuMemcpyDtoH",
];

fn main() {
    let wanted = std::env::args().nth(1).unwrap();
    if wanted == "stays" {
        let _cuda = Cuda::open(cuda::library(LIBRARY));
        println!("it stays");
        loop {
            std::thread::park();
        }
    }
    let runs: usize = wanted.parse().unwrap();
    let library = cuda::library(LIBRARY);
    let alone = Alone::open(&library);
    if Driver::is_there() {
        // SAFETY: there is no other thread.
        unsafe { std::env::remove_var(VARIABLE) };
    }
    let cuda = Cuda::open(library);
    let private = Private::new();
    let mut line = Path::new(ECHOES).exists().then(Line::open);
    let mut rows: [Row; NAMES.len()] = Default::default();
    for run in 0..runs {
        if run > 0 {
            sleep(PAUSE);
        }
        let mut pairs: [Pairs; NAMES.len()] = Default::default();
        for _ in 0..BATCHES {
            let values = turn(&cuda, &alone, &private, line.as_mut());
            for (pairs, (value, peer)) in pairs.iter_mut().zip(values) {
                pairs.0.extend(peer.map(|peer| (value, peer)));
            }
        }
        for (row, pairs) in rows.iter_mut().zip(&pairs) {
            if !pairs.0.is_empty() {
                row.add(pairs);
            }
        }
    }
    let rows = NAMES.iter().zip(&rows);
    let rows = rows.filter(|(_, row)| !row.ns.is_empty());
    let rows = rows.map(|(name, row)| {
        let Row { ns, peer_ns, ratio } = row;
        format!("\"{name}\": {{\"ns\": {ns:?}, \"peer_ns\": {peer_ns:?}, \"ratio\": {ratio:?}}}")
    });
    println!("{{{}}}", rows.collect::<Vec<_>>().join(", "));
}

/// A batch of each kind: nanoseconds of a call, and of what it is held against where that is there.
fn turn(
    cuda: &Cuda,
    alone: &Alone,
    private: &Private,
    line: Option<&mut Line>,
) -> [(f64, Option<f64>); NAMES.len()] {
    sleep(REST);
    let bare = line.map(Line::batch);
    sleep(REST);
    let launch = cuda.launcher();
    let warm = || (0..WARM).for_each(|_| cuda.synchronize());
    warm();
    let launched = batch(&launch);
    warm();
    let filled = batch(|| cuda.fill());
    warm();
    let waited = batch(|| cuda.synchronize());
    let mut bytes = [0; BYTES];
    let copied = batch(|| cuda.download(&mut bytes));
    sleep(REST);
    let launched_alone = alone.stopped(|cuda| batch(cuda.launcher()));
    let filled_alone = alone.stopped(|cuda| batch(|| cuda.fill()));
    sleep(REST);
    let launched_privately = batch(|| private.launch(cuda.buffer, 1));
    private.drain();
    let filled_privately = batch(|| private.fill(cuda.buffer));
    private.drain();
    [
        (launched, Some(launched_alone)),
        (filled, Some(filled_alone)),
        (launched, Some(launched_privately)),
        (filled, Some(filled_privately)),
        (waited, bare),
        (copied, bare),
    ]
}
