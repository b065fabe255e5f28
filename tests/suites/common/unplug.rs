//! The device is ejected, unplugged or reset while another processor is in the middle of an access to it.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use vgpu_bed::machine::Machine;
use vgpu_bed::soak;

use super::{Place, run};

/// How long it goes away, and comes back.
const TIME: Duration = Duration::from_secs(6);
/// Until QEMU has done what it was asked for.
const GONE: Duration = Duration::from_secs(60);
/// How long a guest may take to see a device come: behind a port it waits for the button first.
const LISTED: &str =
    "for i in $(seq 300); do lspci -n -d 1af4:1111 | grep -q . && exit 0; sleep 0.1; done; exit 1";
/// Until the guest's program in the background says how it ended.
const DONE: &str = "for i in $(seq 600); do [ -f /run/done ] && exec cat /run/done /run/said; sleep 0.1; done; exit 1";

/// What the guest's kernel says where QEMU's emulation lost a timer of a processor that slept: seen now and then on a machine
/// with much else to do. A processor that a device holds up does not sleep, and is reported itself.
const TIMER_LOST: &str = "timer wakeup didn't happen";

/// Runs a test with two processors; once more in a new machine, where QEMU lost a timer of the first.
pub(crate) fn with_timers(test: impl Fn() -> Result<()>) -> Result<()> {
    test().or_else(|error| {
        let told = format!("{error:#}");
        if !told.contains(TIMER_LOST) {
            return Err(error);
        }
        eprintln!("{told}\nTrying once more in a new machine.");
        test()
    })
}

/// What happens to the device under load.
#[derive(Debug, Clone, Copy)]
pub(crate) enum UnderLoad {
    /// The guest ejects it, behind its own kernel's back. On "pc" alone.
    Eject,
    /// The host unplugs it.
    Unplug,
    /// The guest resets its function.
    Reset,
}

/// Plugs `device`, an object of all its properties but for its place, into a running machine, and waits until the guest
/// sees it.
pub(crate) fn plug(machine: &mut Machine, place: Place, device: &Value) -> Result<()> {
    let mut device = device.clone();
    for (name, value) in place.properties() {
        device[name] = value;
    }
    machine.qmp().execute("device_add", device)?;
    run(machine, LISTED).map(drop)
}

/// Does all of `acts` to the device, `vgpu` to QEMU, again and again. It is all right afterwards.
pub(crate) fn under_load(
    machine: &mut Machine,
    place: Place,
    device: &Value,
    acts: &[UnderLoad],
) -> Result<()> {
    machine.guest()?.wait_ready()?;
    let (mut rounds, end) = (0, Instant::now() + TIME * soak::times());
    while rounds == 0 || Instant::now() < end {
        rounds += 1;
        for act in acts {
            act.once(machine, place, device)
                .with_context(|| format!("{act:?} in round {rounds}"))?;
        }
    }
    println!("{rounds} rounds");
    run(machine, "vgpu-stub check").map(drop)
}

impl UnderLoad {
    fn once(self, machine: &mut Machine, place: Place, device: &Value) -> Result<()> {
        let hostile = |seconds: u32, act: &str| {
            let address = place.address();
            format!("vgpu-hostile {address} --seconds {seconds} --under-load {act}")
        };
        match self {
            Self::Reset => {
                run(machine, &hostile(1, "reset"))?;
                return Ok(());
            }
            Self::Eject => {
                run(machine, &hostile(1, "eject"))?;
                machine.qmp().wait_event("DEVICE_DELETED", GONE)?;
                // The kernel does not know yet.
                let sysfs = format!("/sys/bus/pci/devices/{}", place.address());
                run(machine, &format!("echo 1 >{sysfs}/remove"))?;
            }
            Self::Unplug => {
                let hostile = hostile(2, "none");
                let background =
                    format!("rm -f /run/done; ({hostile}; echo $? >/run/done) >/run/said 2>&1 &");
                run(machine, &background)?;
                // Once its accesses are under way.
                run(machine, "sleep 1")?;
                machine
                    .qmp()
                    .execute("device_del", json!({ "id": "vgpu" }))?;
                machine.qmp().wait_event("DEVICE_DELETED", GONE)?;
                let said = run(machine, DONE)?;
                assert!(said.starts_with("0\n"), "{said}");
            }
        }
        plug(machine, place, device)
    }
}
