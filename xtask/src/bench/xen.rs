//! In Xen's dom0, against a device that QEMU emulates there, in the same guest.

use std::time::Duration;

use anyhow::{Context, Result};
use vgpu_bed::cache::Cache;
use vgpu_bed::steps::{Step, Steps};
use xen_bed::{Bed, Scenario, XenVersion};

use super::conditions::Conditions;
use super::report::{Report, tell};
use super::{Comparing, guests};
use crate::programs;

/// The most that an access to vgpu-stub may cost, in accesses to its peer.
const BOUND: f64 = 1.0;

/// QEMU's network card, without a network, whose registers are memory.
const PEER: &str = "e1000,romfile=";
/// A register of both devices that a read does not change: the card's Device Status, vgpu-stub's Data Offset.
const OFFSET: u32 = 0x08;

/// The slots that change places.
const SLOTS: [u8; 2] = [0x18, 0x19];

/// What one machine may take, with its guest. It is a virtual machine in an emulated one.
const LIMIT: Duration = Duration::from_secs(400);

/// Prints on its last line what the guest's program printed.
const SCRIPT: &str = concat!(
    include_str!("../../../tests/suites/xen/scenarios/prelude.sh"),
    include_str!("../../../tests/suites/xen/scenarios/install.sh"),
    r#"
# A guest on Xen asks QEMU to take its network cards away, unless it is told not to.
start_guest g1 1 "cmdline = \"$guest_arguments xen_emul_unplug=never\"" \
    "$(device_model "vgpu-stub,addr=$OURS" "$PEER,addr=$PEERS")" <<X
$COMMAND
X
wait_guest g1 'script ended' 300
guest_log g1 | grep '^{' || { guest_log g1; fail "it did not measure"; }
"#
);

pub(super) fn run(options: &Comparing, steps: &Steps) -> Result<()> {
    let cache = Cache::open()?;
    let version = XenVersion::default();
    let bed = Bed::open(&cache, steps, version)?;
    let ours = programs::build(steps)?;
    let image = guests::image(&cache, steps)?;
    let conditions = Conditions::new(&ours, &[("Xen", &version.to_string())])?;
    let measure = |boot: u32, step: &Step| {
        let mut slots = SLOTS;
        slots.rotate_left(boot as usize % 2);
        let settings = format!(
            "OURS={:x} PEERS={:x} PEER={PEER} COMMAND='{}'",
            slots[0],
            slots[1],
            guests::command(slots, options.access, OFFSET),
        );
        let scenario = Scenario::new(format!("{settings}\n{SCRIPT}"))
            .file(programs::COMMAND, &ours)
            .file(programs::EMULATOR, programs::emulator(&ours))
            .guest(&image)
            .limit(LIMIT);
        let printed = bed.run(&scenario)?.success()?;
        let last = printed.lines().last().context("it printed nothing")?;
        guests::parse(last, step)
    };
    let boots = guests::sample(options.boots, steps, measure)?;
    let peer = "e1000 of dom0's QEMU";
    let report = Report::new("xen", peer, Some(BOUND), &boots, conditions)?;
    tell(&[report], options.json)
}
