//! A guest shares its memory, and data flows both ways.

use anyhow::{Context, Result};
use serde_json::Value;
use vgpu_bed::daemon::ECHO_AWAKE;
use vgpu_bed::soak;

use super::{FeaturesBed, STREAMS, Started, ping};
use crate::common::Place;

/// How often a host that sleeps is woken; a soak does it 10,000 times.
const PARKS: u32 = 200;

/// What of [`super::LITTLE`] a host does that does not sleep.
const AWAKE: &str = "--region 4M --bytes 4M --count 100 --parks 0 --wait 20";

/// Doorbells and records of a stream.
fn doorbells(found: &Value, stream: &str) -> Result<(u64, u64)> {
    let number = |name: &str| found[stream][name].as_u64();
    let both = number("doorbells").zip(number("records"));
    both.with_context(|| format!("no stream {stream}"))
}

/// How fast it is, and how seldom the host sleeps, is for a machine that does nothing else, and for programs that are
/// optimised, as these are not: `cargo xtask bench features`.
pub(crate) fn a_guest_shares_its_memory<B: FeaturesBed>(place: Place) -> Result<()> {
    let Started {
        mut machine,
        server: _server,
        mut daemon,
        ..
    } = Started::<B>::new(place)?;
    let parks = PARKS * soak::times();
    let all = format!("--bytes 64M --count 20000 --parks {parks}");
    let found = ping(&mut machine, &all)?;
    let ratio = found["ratio"].as_f64();
    println!("an echo takes as long as {ratio:?} bare round trips");
    assert!(ratio.is_some_and(|ratio| ratio > 0.0));
    assert_eq!(found["parks"]["count"], parks);
    for stream in STREAMS {
        let (doorbells, records) = doorbells(&found, stream)?;
        assert!(doorbells <= records, "{stream}: {doorbells} of {records}");
    }
    // A host that does not sleep need not be rung.
    daemon.kill()?;
    daemon.start_again(ECHO_AWAKE)?;
    let found = ping(&mut machine, AWAKE)?;
    for stream in STREAMS {
        assert_eq!(doorbells(&found, stream)?.0, 0, "{stream}");
    }
    machine.power_off()
}
