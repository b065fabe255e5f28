//! The conformance suite on a device with features, without a guest.

use anyhow::Result;
use vgpu_abi::bar0::STATE;
use vgpu_abi::features::state;
use vgpu_bed::daemon::within;
use vgpu_conformance::{Identity, Outcome, Target, run};

use super::qtest_driver::LIMIT;
use super::{FeaturesBed, daemon};
use crate::common::{Place, QtestTarget};

pub(crate) fn conforms<B: FeaturesBed>(place: Place) -> Result<()> {
    let (bed, daemon) = (B::new()?, daemon()?);
    let server = bed.serve(&daemon)?;
    let machine = bed.with_features(&server, &daemon, place).qtest().start()?;
    let identity = Identity {
        features: true,
        by_vfio: B::BY_VFIO,
        ..place.identity()
    };
    let mut target = QtestTarget::new(machine, place)?;
    // What the host says later would be an event too many.
    let ready = u64::from(state::READY);
    within(LIMIT, || Ok(target.bar0_read(STATE, 4)? == ready))?;
    for report in run(&mut target, &identity) {
        println!("{report}");
        // The host's side is another one for each attachment, which other tests ask.
        let passed = report.name.contains("Status") || report.outcome == Outcome::Passed;
        assert!(passed, "{report}");
    }
    Ok(())
}
