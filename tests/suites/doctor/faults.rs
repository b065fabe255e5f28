//! The faults, and how each is planted.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;
use serde_json::Value;

use crate::mutant::{self, Mutation};
use crate::patient::{Finding, Patient, Qemu, Report, Start, wait_until};

/// Where the doctor is asked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    /// On the host, by QEMU's monitor.
    Host,
    /// On the host, by the emulator's control socket alone.
    Control,
    Guest,
}

/// A fault, planted and mended in a real VM.
struct Fault {
    /// How the VM is started.
    vm: fn() -> Start,
    /// Whether all is well before it is planted.
    well_before: bool,
    /// What a running VM, or one that is yet to start, is done to.
    plant: fn(&mut Patient) -> Result<()>,
    side: Side,
    /// The one point that fails.
    point: &'static str,
    /// What is done after the mend was typed, where that is a part of it.
    then: fn(&mut Patient, &Finding, &str) -> Result<()>,
}

impl Fault {
    /// A fault of a VM that runs and is well.
    const fn of(vm: fn() -> Start, side: Side, point: &'static str) -> Self {
        Self {
            vm,
            well_before: true,
            plant: |_| Ok(()),
            side,
            point,
            then: |_, _, _| Ok(()),
        }
    }

    /// Plants it in a VM of its own, lets the doctor find it, types what the doctor says, and has the doctor look again.
    fn is_found_and_mended(&self) -> Result<()> {
        let mut patient = Patient::new((self.vm)())?;
        if self.well_before {
            if patient.start.qemu == Qemu::Stock {
                let control = format!("--control {}", patient.control().display());
                patient.serve(&control)?;
                patient.start.arguments.extend(patient.served());
            }
            patient.boot()?;
        }
        self.is_found_and_mended_in(&mut patient)
    }

    fn is_found_and_mended_in(&self, patient: &mut Patient) -> Result<()> {
        if self.well_before {
            let before = self.examine(patient)?;
            ensure!(before.well, "not well before: {before:#?}");
        }
        (self.plant)(patient)?;

        let report = self.examine(patient)?;
        let faults = report.faults();
        let ids: Vec<&str> = faults.iter().map(|fault| fault.id.as_str()).collect();
        ensure!(ids == [self.point], "not {} alone: {report:#?}", self.point);
        let fault = faults[0].clone();
        println!("{}: {:?}", fault.id, fault.cause);
        ensure!(!fault.mend.is_empty(), "no mend: {fault:#?}");
        let mut said = String::new();
        for mend in &fault.mend {
            println!("  mend, {}: {}", mend.on, mend.line);
            said += &patient.mend(mend)?;
        }
        (self.then)(patient, &fault, &said)?;

        let after = self.examine(patient)?;
        ensure!(after.well, "not well after: {after:#?}");
        Ok(())
    }

    fn examine(&self, patient: &mut Patient) -> Result<Report> {
        let [qmp, control] =
            [patient.qmp(), patient.control()].map(|path| path.display().to_string());
        match self.side {
            Side::Host => patient.on_host(&["--qmp", &qmp]),
            Side::Control => patient.on_host(&["--control", &control]),
            Side::Guest => patient.in_guest(),
        }
    }
}

/// A VM with the device in its QEMU.
fn own() -> Start {
    Start::new(Qemu::Own, &["-device", "vgpu-stub,addr=5"])
}

/// A VM with the device by vfio-user; its server is added where it starts.
fn served() -> Start {
    Start::new(Qemu::Stock, &[])
}

/// A VM whose device by vfio-user is this one.
fn with_mutant(patient: &mut Patient, mutation: Mutation) -> Result<()> {
    mutant::serve(&patient.socket(), mutation)?;
    patient.start.arguments.extend(patient.served());
    patient.boot()
}

/// The mend has brought what the VM needs, and it is started again.
fn boot_again(patient: &mut Patient, _: &Finding, _: &str) -> Result<()> {
    let socket = patient.socket();
    wait_until(|| socket.exists())?;
    patient.boot()
}

const DEVICE: &str = "/sys/bus/pci/devices/0000:00:05.0";

#[test]
fn qemu_without_the_argument() -> Result<()> {
    Fault {
        well_before: false,
        plant: Patient::boot,
        ..Fault::of(|| Start::new(Qemu::Own, &[]), Side::Host, "configured")
    }
    .is_found_and_mended()
}

/// QEMU's first lines say so too, which the log would show.
#[test]
fn private_memory() -> Result<()> {
    let vm = || Start::new(Qemu::Own, &["-device", "vgpu-stub,addr=5,features=on"]);
    Fault {
        well_before: false,
        plant: Patient::boot,
        ..Fault::of(vm, Side::Host, "shared-memory")
    }
    .is_found_and_mended()
}

#[test]
fn stock_qemu_without_the_argument() -> Result<()> {
    Fault {
        well_before: false,
        plant: Patient::boot,
        ..Fault::of(served, Side::Host, "configured")
    }
    .is_found_and_mended()
}

/// The mend prints the path of a QEMU with the device: these tests have one.
#[test]
fn qemu_without_the_device() -> Result<()> {
    let mut patient = Patient::new(Start::new(Qemu::Old, &[]))?;
    patient.boot()?;
    let qmp = patient.qmp().display().to_string();
    let report = patient.on_host(&["--qmp", &qmp])?;
    let faults = report.faults();
    ensure!(
        faults.len() == 1 && faults[0].id == "installed",
        "{report:#?}"
    );
    ensure!(
        faults[0].mend[0].line.starts_with("cargo xtask qemu"),
        "{faults:#?}"
    );
    patient.start = own();
    patient.boot()?;
    ensure!(patient.on_host(&["--qmp", &qmp])?.well);
    Ok(())
}

/// The mend is the same command with the ids that were found.
#[test]
fn wrong_ids() -> Result<()> {
    let mut patient = Patient::new(Start::new(
        Qemu::Own,
        &["-device", "vgpu-stub,device-id=0x1112"],
    ))?;
    patient.boot()?;
    let qmp = patient.qmp().display().to_string();
    for report in [patient.on_host(&["--qmp", &qmp])?, patient.in_guest()?] {
        let faults = report.faults();
        ensure!(faults.len() == 1 && faults[0].id == "ids", "{report:#?}");
        // It exits with 0 where nothing is at fault any more.
        let mend = faults[0].mend[0].clone();
        ensure!(mend.line.ends_with("--device-id 1112"), "{mend:?}");
        patient.mend(&mend)?;
    }
    Ok(())
}

/// The mend is for a guest with GRUB, which this one has not.
#[test]
fn pci_off() -> Result<()> {
    let mut patient = Patient::new(Start {
        kernel: "pci=off".into(),
        ..own()
    })?;
    patient.boot()?;
    let report = patient.in_guest()?;
    let faults = report.faults();
    ensure!(faults.len() == 1 && faults[0].id == "pci", "{report:#?}");
    ensure!(
        faults[0].mend[0].line.contains("s/ *pci=off//"),
        "{faults:#?}"
    );
    patient.start = own();
    patient.boot()?;
    ensure!(patient.in_guest()?.well);
    Ok(())
}

/// A VM that runs through all that a guest or its host can undo again: each mend leaves it as well as it was.
#[test]
fn one_vm_with_one_fault_after_another() -> Result<()> {
    let faults = [
        Fault {
            plant: |patient| patient.guest(&format!("echo 1 >{DEVICE}/remove")).map(drop),
            ..Fault::of(own, Side::Guest, "device")
        },
        // Memory decode is off; the host sees that the BAR is not mapped.
        Fault {
            plant: |patient| patient.guest("setpci -s 05.0 COMMAND=0").map(drop),
            ..Fault::of(own, Side::Guest, "access")
        },
        Fault {
            plant: |patient| patient.guest("setpci -s 05.0 COMMAND=0").map(drop),
            ..Fault::of(own, Side::Host, "bar")
        },
        // The BAR has lost its address.
        Fault {
            plant: |patient| patient.guest("setpci -s 05.0 BASE_ADDRESS_0=0").map(drop),
            ..Fault::of(own, Side::Guest, "bar")
        },
        Fault {
            plant: |patient| {
                let bind = format!(
                    "modprobe pci-pf-stub && echo pci-pf-stub >{DEVICE}/driver_override && \
                     echo 0000:00:05.0 >/sys/bus/pci/drivers_probe"
                );
                patient.guest(&bind).map(drop)
            },
            ..Fault::of(own, Side::Guest, "driver")
        },
        // QEMU is stopped.
        Fault {
            plant: |patient| patient.machine()?.signal(Signal::STOP),
            ..Fault::of(own, Side::Host, "process")
        },
        // QEMU's end has left its socket.
        Fault {
            plant: Patient::kill_qemu,
            then: |patient, _, _| {
                ensure!(!patient.qmp().exists(), "it is still there");
                patient.boot()
            },
            ..Fault::of(own, Side::Host, "process")
        },
    ];
    let mut patient = Patient::new(own())?;
    patient.boot()?;
    for (number, fault) in faults.iter().enumerate() {
        let context = || format!("fault {number}, {}", fault.point);
        fault
            .is_found_and_mended_in(&mut patient)
            .with_context(context)?;
    }
    Ok(())
}

/// The mend shows what the kernel said; then the VM is started again.
#[test]
fn a_kernel_panic() -> Result<()> {
    Fault {
        plant: |patient| {
            let crash = "echo c >/proc/sysrq-trigger";
            let machine = patient.machine()?;
            // It never answers.
            let _ = machine.guest()?.run_within(crash, Duration::from_secs(3));
            ensure!(machine.console().contains("Kernel panic"), "no panic");
            Ok(())
        },
        then: |patient, _, said| {
            ensure!(said.contains("Kernel panic - not syncing"), "{said}");
            patient.boot()
        },
        ..Fault::of(
            || Start {
                kernel: "panic=0".into(),
                ..own()
            },
            Side::Host,
            "guest-kernel",
        )
    }
    .is_found_and_mended()
}

/// The mend needs socat; where there is none, its command is given to QEMU by the bed.
#[test]
fn a_paused_vm() -> Result<()> {
    let mut patient = Patient::new(own())?;
    patient.boot()?;
    let qmp = patient.qmp().display().to_string();
    patient.machine()?.qmp().execute("stop", Value::Null)?;
    let report = patient.on_host(&["--qmp", &qmp])?;
    let faults = report.faults();
    ensure!(
        faults.len() == 1 && faults[0].id == "guest-kernel",
        "{report:#?}"
    );
    let mend = faults[0].mend[0].clone();
    if patient.host("command -v socat").is_ok() {
        patient.mend(&mend)?;
    } else {
        ensure!(mend.line.contains(r#"{"execute":"cont"}"#), "{mend:?}");
        patient.machine()?.qmp().execute("cont", Value::Null)?;
    }
    ensure!(patient.on_host(&["--qmp", &qmp])?.well);
    Ok(())
}

/// Accesses that the device refuses, in QEMU's log. The mend shows them; a new start has none.
#[test]
fn refused_accesses_in_the_log() -> Result<()> {
    Fault {
        plant: |patient| patient.guest("vgpu-conformance 0000:00:05.0").map(drop),
        then: |patient, _, said| {
            ensure!(said.contains("vgpu-stub: refused"), "{said}");
            patient.boot()
        },
        ..Fault::of(
            || {
                Start::new(
                    Qemu::Own,
                    &["-device", "vgpu-stub,addr=5", "-d", "guest_errors"],
                )
            },
            Side::Host,
            "log",
        )
    }
    .is_found_and_mended()
}

#[test]
fn a_killed_server() -> Result<()> {
    Fault {
        plant: |patient| {
            let server = patient.server()?;
            patient.host(&format!("kill -9 {server}")).map(drop)
        },
        then: boot_again,
        ..Fault::of(served, Side::Host, "process")
    }
    .is_found_and_mended()
}

/// What the guest sees of it; the host's doctor has the mend.
#[test]
fn a_killed_server_in_the_guest() -> Result<()> {
    Fault {
        plant: |patient| {
            let server = patient.server()?;
            patient.host(&format!("kill -9 {server}")).map(drop)
        },
        ..Fault::of(served, Side::Guest, "config-space")
    }
    .is_found_and_sent_to_the_host("process")
}

#[test]
fn a_stopped_server() -> Result<()> {
    Fault {
        plant: |patient| {
            let server = patient.server()?;
            patient.host(&format!("kill -STOP {server}")).map(drop)
        },
        ..Fault::of(served, Side::Host, "process")
    }
    .is_found_and_mended()
}

/// A server that was started again has no VM: QEMU connects once.
#[test]
fn a_server_started_behind_the_vms_back() -> Result<()> {
    let mut patient = Patient::new(served())?;
    patient.serve("")?;
    patient.start.arguments.extend(patient.served());
    patient.boot()?;
    let server = patient.server()?;
    patient.host(&format!("kill {server}"))?;
    let socket = patient.socket();
    wait_until(|| !socket.exists())?;
    patient.serve("")?;
    let qmp = patient.qmp().display().to_string();
    let report = patient.on_host(&["--qmp", &qmp])?;
    let faults = report.faults();
    ensure!(
        faults.len() == 1 && faults[0].id == "process",
        "{report:#?}"
    );
    // The mend is QEMU's own command line, whose other sockets are the bed's.
    let pid = patient.machine()?.pid().as_raw_nonzero();
    ensure!(
        faults[0].mend[0].line.starts_with(&format!("kill {pid}; ")),
        "{faults:#?}"
    );
    patient.boot()?;
    ensure!(patient.on_host(&["--qmp", &qmp])?.well);
    Ok(())
}

#[test]
fn a_stale_control_socket() -> Result<()> {
    Fault {
        plant: |patient| {
            // With its guard, which would remove the sockets.
            let server = patient.server()?;
            let guard = format!("/proc/{server}/task/{server}/children");
            patient
                .host(&format!("kill -9 $(cat {guard}) {server}"))
                .map(drop)
        },
        then: |patient, _, _| {
            ensure!(!patient.control().exists(), "it is still there");
            let control = format!("--control {}", patient.control().display());
            patient.host(&format!("rm -f {}", patient.socket().display()))?;
            patient.serve(&control)?;
            patient.boot()
        },
        ..Fault::of(served, Side::Control, "process")
    }
    .is_found_and_mended()
}

/// A device that is not what it should be, and the two points that say so: one on the host, one in the guest.
fn a_mutant(mutation: fn() -> Mutation, on_host: &str, in_guest: &str) -> Result<()> {
    let mut patient = Patient::new(served())?;
    with_mutant(&mut patient, mutation())?;
    let report = patient.in_guest()?;
    let faults = report.faults();
    ensure!(faults.len() == 1 && faults[0].id == in_guest, "{report:#?}");
    let qmp = patient.qmp().display().to_string();
    let report = patient.on_host(&["--qmp", &qmp])?;
    let faults = report.faults();
    ensure!(faults.len() == 1 && faults[0].id == on_host, "{report:#?}");
    let mends = faults[0].mend.clone();
    patient.switch_off();
    // The mutant takes its socket along.
    let socket = patient.socket();
    wait_until(|| !socket.exists())?;
    for mend in mends {
        patient.mend(&mend)?;
    }
    wait_until(|| socket.exists())?;
    patient.boot()?;
    ensure!(patient.on_host(&["--qmp", &qmp])?.well);
    ensure!(patient.in_guest()?.well);
    Ok(())
}

#[test]
fn the_wrong_class() -> Result<()> {
    // A display controller, as the guide's sample has it.
    let config = || Mutation {
        config: &[(0x0b, 0x03)],
        ..Mutation::default()
    };
    a_mutant(config, "class", "class")
}

#[test]
fn no_bar() -> Result<()> {
    let config = || Mutation {
        config: &[(0x10, 0), (0x11, 0), (0x12, 0), (0x13, 0)],
        no_bar0: true,
        ..Mutation::default()
    };
    a_mutant(config, "bar", "bar")
}

#[test]
fn a_bar_that_does_not_answer() -> Result<()> {
    let config = || Mutation {
        silent_bar0: true,
        ..Mutation::default()
    };
    a_mutant(config, "bar", "access")
}

/// A mutant without a mutation is well, so what the others fail at is the mutation.
#[test]
fn a_mutant_without_a_fault_is_well() -> Result<()> {
    let mut patient = Patient::new(served())?;
    with_mutant(&mut patient, Mutation::default())?;
    let report = patient.in_guest()?;
    ensure!(report.well, "{report:#?}");
    let qmp = patient.qmp().display().to_string();
    let report = patient.on_host(&["--qmp", &qmp])?;
    ensure!(report.well, "{report:#?}");
    Ok(())
}

/// A VM that is well, named in each way; nothing is left unseen but what nobody records.
#[test]
fn a_vm_that_is_well() -> Result<()> {
    let mut patient = Patient::new(own())?;
    patient.boot()?;
    let name = patient.name();
    let qmp = patient.qmp().display().to_string();
    for arguments in [["--qmp", &qmp], ["--vm", &name]] {
        let report = patient.on_host(&arguments)?;
        let unseen: Vec<_> = report
            .points
            .iter()
            .filter(|it| it.verdict != "ok")
            .collect();
        ensure!(unseen.is_empty(), "{arguments:?}: {unseen:#?}");
    }
    let report = patient.in_guest()?;
    let unseen: Vec<_> = report
        .points
        .iter()
        .filter(|it| it.verdict != "ok")
        .collect();
    ensure!(unseen.is_empty(), "{unseen:#?}");
    // To be examined has changed nothing.
    patient.guest("vgpu-stub check")?;
    Ok(())
}

/// UEFI places BARs by rules of its own.
#[test]
fn a_vm_of_uefi_that_is_well() -> Result<()> {
    let mut patient = Patient::new(Start {
        uefi: true,
        ..own()
    })?;
    patient.boot()?;
    let qmp = patient.qmp().display().to_string();
    for report in [patient.in_guest()?, patient.on_host(&["--qmp", &qmp])?] {
        ensure!(report.well, "{report:#?}");
    }
    Ok(())
}

impl Fault {
    /// Plants it; the guest's doctor finds it and sends to the host's, which finds `point`.
    fn is_found_and_sent_to_the_host(&self, point: &str) -> Result<()> {
        let mut patient = Patient::new((self.vm)())?;
        patient.serve("")?;
        patient.start.arguments.extend(patient.served());
        patient.boot()?;
        (self.plant)(&mut patient)?;
        let report = self.examine(&mut patient)?;
        let faults = report.faults();
        let fault = faults.first().context("no fault")?;
        ensure!(faults.len() == 1 && fault.id == self.point, "{report:#?}");
        ensure!(
            fault.mend[0].line == "vgpu-stub doctor --vm NAME",
            "{fault:#?}"
        );
        let name = patient.name();
        let report = patient.on_host(&["--vm", &name])?;
        let faults = report.faults();
        ensure!(faults.len() == 1 && faults[0].id == point, "{report:#?}");
        Ok(())
    }
}
