//! Executes targets on inputs that are made, and keeps one that breaks a rule.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;
use vgpu_bed::soak::times;
use vgpu_fuzz::{Target, execute};

/// How often a soak says how far it is.
const MINUTE: Duration = Duration::from_secs(60);

/// Makes the `n`-th input.
pub(crate) type Make<'a> = &'a mut dyn FnMut(u64, &mut Rng, &mut Vec<u8>);

/// An input that breaks a rule is kept, where those of the fuzzer are.
struct Kept<'a>(&'a Target, &'a [u8]);

impl Drop for Kept<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            let Self(target, bytes) = *self;
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("regressions");
            let folder = folder.join(target.name);
            let file = folder.join(format!("generated-{:016x}", fastrand::u64(..)));
            let kept = fs::create_dir_all(&folder).and_then(|()| fs::write(&file, bytes));
            eprintln!("{}: {kept:?}, {bytes:02x?}", file.display());
        }
    }
}

/// Executes a target so many times, and as many times more as a soak says.
pub(crate) fn hold(name: &str, count: u64, make: Make<'_>) {
    let target = Target::find(name).unwrap();
    let count = count * u64::from(times());
    let mut random = Rng::new();
    let mut input = Vec::with_capacity(target.longest);
    let start = Instant::now();
    let mut told = start;
    for n in 0..count {
        if n.is_multiple_of(1024) && told.elapsed() > MINUTE {
            told = Instant::now();
            println!("{name}: {n} of {count} executions");
        }
        input.clear();
        make(n, &mut random, &mut input);
        let kept = Kept(target, &input);
        execute(target, &input);
        drop(kept);
    }
    let rate = count as f64 / start.elapsed().as_secs_f64();
    println!("{name}: {count} executions, {rate:.0} a second");
}
