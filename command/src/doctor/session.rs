//! What the host says: of the device, of itself, of a session.

use rustix::io::Errno;
use vgpu_abi::bar0::ABI_VERSION;
use vgpu_abi::features::{MSIX, SEGMENT_ADDRESS, state};
use vgpu_abi::ioctl::Info;
use vgpu_checklist::{Evidence, Mend, Place, Trouble};
use vgpu_node::Node;
use vgpu_transport::Error;
use vgpu_transport::driver::Driver;

use super::kernel::NODE;
use super::machine::Guest;

/// Without these the driver has no session.
const NEEDED: u64 = SEGMENT_ADDRESS | MSIX;

fn info(guest: &Guest) -> Result<Info, Trouble> {
    let asked = Node::open(&guest.path(NODE)).and_then(|node| node.info());
    asked.map_err(|error| {
        let mend = Mend::guest("sudo dmesg | grep vgpu");
        Trouble::not_seen(format!("{NODE} does not tell: {error}"), [mend])
    })
}

pub(super) fn abi(guest: &Guest, seen: &mut Evidence) -> Result<(), Trouble> {
    judge_abi(&info(guest)?, seen)
}

fn judge_abi(info: &Info, seen: &mut Evidence) -> Result<(), Trouble> {
    let [device, own] = [info.abi, ABI_VERSION].map(|abi| (abi >> 16, abi & 0xffff));
    if device.0 != own.0 {
        return Err(Trouble::fault(
            format!(
                "the device speaks ABI {}.{}, this guest's vgpu {}.{}",
                device.0, device.1, own.0, own.1
            ),
            [Mend::guest(
                "sudo apt-get install --only-upgrade vgpu-dkms vgpu-guest vgpu-tools  # of the host's version",
            )],
        ));
    }
    if info.features & NEEDED != NEEDED {
        return Err(Trouble::fault(
            format!(
                "the device has features {:#x}, and {NEEDED:#x} are needed: nothing is settled",
                info.features
            ),
            [Mend::host("vgpu-stub doctor --vm NAME")],
        ));
    }
    seen.note(format!(
        "ABI {}.{}, features {:#x}, up to {} sessions",
        device.0,
        device.1,
        info.features,
        info.limits & 0xffff
    ));
    Ok(())
}

pub(super) fn host(guest: &Guest, seen: &mut Evidence) -> Result<(), Trouble> {
    judge_state(info(guest)?.state, seen)
}

/// What a STATE other than ready means.
const STATES: [(u32, &str); 3] = [
    (
        state::NO_DAEMON,
        "the host has no daemon for this device (STATE 0)",
    ),
    (
        state::RESETTING,
        "the host still gives up what it had of this guest (STATE 2)",
    ),
    (state::LOST, "the host's daemon is gone (STATE 3)"),
];

fn judge_state(now: u32, seen: &mut Evidence) -> Result<(), Trouble> {
    if now == state::READY {
        seen.note("STATE 1: ready");
        return Ok(());
    }
    let known = STATES.iter().find(|(state, _)| *state == now);
    let cause = known.map_or_else(
        || format!("the device's STATE is {now}, which means nothing: nobody answers"),
        |(_, cause)| (*cause).to_owned(),
    );
    Err(Trouble::fault(
        cause,
        [Mend::host(
            "vgpu-stub doctor --vm NAME  # says how vgpud is started there",
        )],
    ))
}

pub(super) fn session(guest: &Guest, seen: &mut Evidence) -> Result<(), Trouble> {
    if !guest.is_real() {
        return Err(Trouble::not_seen(
            "another machine's device is not tried",
            [],
        ));
    }
    match Driver::open() {
        Ok(_) => {
            seen.note("opened, and closed again");
            Ok(())
        }
        Err(error) => Err(no_session(&error)),
    }
}

/// Why the host opens no session, and who mends it where.
fn no_session(error: &Error) -> Trouble {
    let host = || Mend::host("vgpu-stub doctor --vm NAME");
    match error {
        Error::Version { .. } => Trouble::fault(
            error,
            [Mend::guest(
                "dpkg -l vgpu-guest vgpu-dkms vgpu-tools  # and vgpud --version on the host",
            )],
        ),
        Error::NoSession { cause, .. } => match *cause {
            Errno::NOSPC => Trouble::fault(
                "this machine has as many sessions, or as much memory, as it may have",
                [Mend::guest("fuser -v /dev/vgpu0  # whose they are"), host()],
            ),
            Errno::PERM => Trouble::fault(
                "this machine's memory is private to its QEMU: none can be shared with the host",
                [Mend::on(
                    Place::QemuArguments,
                    "-object memory-backend-memfd,id=vgpu-ram,size=SIZE,share=on -machine memory-backend=vgpu-ram",
                )],
            ),
            Errno::IO => Trouble::fault(
                "the host opens no session: its daemon could not, or has this machine in quarantine",
                [host()],
            ),
            _ => Trouble::fault(error, [Mend::guest("sudo dmesg | grep vgpu")]),
        },
        _ => Trouble::fault(error, [host()]),
    }
}

#[cfg(test)]
mod tests {
    use vgpu_checklist::{Point, Report, examine};

    use super::*;

    type Look = fn(&(), &mut Evidence) -> Result<(), Trouble>;

    /// What the one point that looks so says: its cause, and what to type first.
    fn said(look: Look) -> (String, String) {
        let point = Point {
            id: "it",
            title: "it",
            guide: "",
            after: &[],
            look,
        };
        let report = Report::new("this".to_owned(), examine(&[point], &()));
        let report = serde_json::to_value(&report).unwrap();
        let point = &report["points"][0];
        assert_eq!(point["verdict"], "fault");
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        (text(&point["cause"]), text(&point["mend"][0]["type"]))
    }

    #[track_caller]
    fn all_say(cases: &[(Look, &str, &str)]) {
        for (look, expected, mended) in cases {
            let (cause, mend) = said(*look);
            assert!(cause.contains(expected), "{cause}");
            assert!(mend.contains(mended), "{mend}");
            assert_eq!(cause.lines().count(), 1, "{cause}");
        }
    }

    const GOOD: Info = Info {
        features: NEEDED,
        abi: ABI_VERSION,
        limits: 0,
        pinned_max: 0,
        state: state::READY,
        generation: 0,
        reserved: 0,
    };

    #[test]
    fn a_device_of_another_version_or_without_features_is_a_fault() {
        let mut seen = Evidence::default();
        assert!(judge_abi(&GOOD, &mut seen).is_ok());
        let minor = Info {
            abi: ABI_VERSION + 1,
            ..GOOD
        };
        assert!(judge_abi(&minor, &mut seen).is_ok(), "new bits alone");
        let another: Look = |(), seen| {
            let info = Info {
                abi: 2 << 16,
                ..GOOD
            };
            judge_abi(&info, seen)
        };
        let without: Look = |(), seen| {
            let info = Info {
                features: SEGMENT_ADDRESS,
                ..GOOD
            };
            judge_abi(&info, seen)
        };
        all_say(&[
            (
                another,
                "the device speaks ABI 2.0, this guest's vgpu 1.0",
                "vgpu-dkms",
            ),
            (without, "nothing is settled", "vgpu-stub doctor"),
        ]);
    }

    #[test]
    fn each_state_but_ready_is_a_fault_of_its_own() {
        assert!(judge_state(state::READY, &mut Evidence::default()).is_ok());
        all_say(&[
            (
                |(), seen| judge_state(state::NO_DAEMON, seen),
                "no daemon",
                "vgpu-stub doctor",
            ),
            (
                |(), seen| judge_state(state::RESETTING, seen),
                "gives up",
                "vgpu-stub doctor",
            ),
            (
                |(), seen| judge_state(state::LOST, seen),
                "is gone",
                "vgpu-stub doctor",
            ),
            (
                |(), seen| judge_state(u32::MAX, seen),
                "nobody answers",
                "vgpu-stub doctor",
            ),
        ]);
    }

    fn refused(cause: Errno) -> Result<(), Trouble> {
        Err(no_session(&Error::NoSession { cause, why: "" }))
    }

    #[test]
    fn what_the_host_refuses_is_told_by_its_cause() {
        all_say(&[
            (
                |(), _| Err(no_session(&Error::Version { host: 4, own: 5 })),
                "speaks version 5 of the session",
                "dpkg -l",
            ),
            (
                |(), _| refused(Errno::NOSPC),
                "as many sessions, or as much memory",
                "fuser",
            ),
            (
                |(), _| refused(Errno::PERM),
                "private to its QEMU",
                "-object memory-backend-memfd",
            ),
            (|(), _| refused(Errno::IO), "quarantine", "vgpu-stub doctor"),
            (
                |(), _| refused(Errno::NOMEM),
                "no session with the virtual GPU's host",
                "dmesg",
            ),
            (
                |(), _| Err(no_session(&Error::NoHost { state: 3 })),
                "STATE 3",
                "vgpu-stub doctor",
            ),
        ]);
    }
}
