//! A driver that tries whatever a driver can.

use std::time::Duration;

use anyhow::Result;
use vgpu_bed::daemon::within;
use vgpu_bed::soak;

use super::{FeaturesBed, LITTLE, Started, ping};
use crate::common::{LOG_LIMIT, Place, memory_kib};

/// What server and daemon may have more after the attacks than before: allocators keep some of what they had.
const GROWTH_KIB: u64 = 1024;

/// How long all acts may take, on a busy machine.
const ATTACKED: Duration = Duration::from_secs(120);

pub(crate) fn withstands<B: FeaturesBed>(place: Place) -> Result<()> {
    let mut started = Started::<B>::new(place)?;
    ping(&mut started.machine, LITTLE)?;
    let before = memory(&started)?;
    for _ in 0..soak::times() {
        let command = format!("vgpu-hostile-driver --device {}", place.address());
        let guest = started.machine.guest()?;
        let said = guest.run_within(&command, ATTACKED)?;
        println!("{}{}", said.stdout, said.stderr);
        said.success()?;
        ping(&mut started.machine, LITTLE)?;
    }
    let after = memory(&started)?;
    println!("memory of the daemon and the server: {before:?} KiB, then {after:?} KiB");
    for (before, after) in before.into_iter().zip(after) {
        assert!(after <= before + GROWTH_KIB, "it grows");
    }
    let Started {
        daemon,
        mut server,
        mut machine,
        ..
    } = started;
    machine.power_off()?;
    within(Duration::from_secs(1), || Ok(daemon.workers()?.is_empty()))?;
    for log in [B::stop(&mut server)?, machine.log(), daemon.log()] {
        println!("a log: {} bytes\n{log}", log.len());
        assert!(log.len() < LOG_LIMIT * soak::times() as usize, "{log}");
    }
    Ok(())
}

/// Of the daemon, and of the process that has the device, where only that makes it grow.
fn memory<B: FeaturesBed>(started: &Started<B>) -> Result<Vec<u64>> {
    let own = B::ALONE.then(|| started.process());
    let all = [started.daemon.pid()].into_iter().chain(own);
    all.map(memory_kib).collect()
}
