//! Where the tests' commands run.

use std::env;
use std::path::Path;
use std::process::{self, Command, Stdio};

use anyhow::{Context, Result};
use vgpu_bed::cache::Cache;
use vgpu_bed::guest::GuestImage;
use vgpu_bed::machine::{Machine, MachineType};
use vgpu_bed::steps::Steps;
use vgpu_terminal::OrMend;
use xen_bed::{Bed, Scenario, XenVersion};

use super::checks::{Check, OnHost, Side};
use crate::demo::attachment::QemuChoice;
use crate::programs;

/// What a command has printed.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) output: String,
}

/// Under a QEMU of this machine's.
pub(super) fn qemu(
    choice: QemuChoice,
    program: &Path,
    image: &GuestImage,
    cache: &Cache,
    steps: &Steps,
) -> Result<(Vec<Check>, Vec<Answer>)> {
    let folder = tempfile::tempdir()?;
    let name = format!("acceptance-{}", process::id());
    let monitor = folder.path().join("qmp.sock");
    let monitor = format!("unix:{},server=on,wait=off", monitor.display());
    let mut host = choice.prepare(MachineType::Pc, program, cache, steps)?;
    let builder = host.builder.image(image);
    let builder = builder.arguments(["-name", &name, "-qmp", &monitor]);
    let mut machine = steps
        .step(&format!("Boot a guest in {}", host.qemu), |_| {
            let mut machine = builder.start()?;
            machine.guest()?.wait_ready()?;
            Ok(machine)
        })
        .or_mend("See what QEMU and the guest say above; on a busy machine, try again later.")?;

    let binary = host.binary.display();
    let pid = machine.pid().as_raw_nonzero();
    let log = machine.folder().join("qemu-stderr.log");
    let doctor = format!("vgpu-stub doctor --vm {name}");
    let log = format!("grep -iE 'vgpu|vfio.user' {}", log.display());
    let on_host = match &host.server {
        None => OnHost {
            devices: (
                format!("{binary} -device help | grep vgpu-stub"),
                &["name \"vgpu-stub\""],
            ),
            process: (format!("ps -o args= -p {pid}"), &["-device vgpu-stub"]),
            log,
            doctor,
        },
        Some(server) => {
            let pid = format!("{pid},{}", server.pid().as_raw_nonzero());
            OnHost {
                devices: (
                    format!("{binary} -device help | grep vfio-user; vgpu-stub --version"),
                    &["name \"vfio-user-pci\"", "vgpu-stub "],
                ),
                process: (
                    format!("ps -o args= -p {pid}"),
                    &["\"driver\":\"vfio-user-pci\"", "vgpu-stub vfio-user"],
                ),
                log,
                doctor,
            }
        }
    };
    let checks = Check::all(on_host);
    let mut answers = Vec::new();
    for check in &checks {
        let output = match check.side {
            Side::Host => on_this_machine(&check.command, program)?,
            Side::Guest => in_guest(&mut machine, &check.command)?,
        };
        answers.push(Answer { output });
    }
    machine.power_off()?;
    if let Some(server) = &mut host.server {
        server.stop()?;
    }
    Ok((checks, answers))
}

/// Runs a command by a shell that finds vgpu-stub.
fn on_this_machine(command: &str, program: &Path) -> Result<String> {
    let mut path = program
        .parent()
        .unwrap_or(Path::new("/"))
        .as_os_str()
        .to_owned();
    path.push(":");
    path.push(env::var_os("PATH").unwrap_or_default());
    let output = Command::new("sh")
        .args(["-c", command])
        .env("PATH", path)
        .stdin(Stdio::null())
        .output()
        .context("cannot run sh")?;
    let said = [output.stdout, output.stderr].concat();
    Ok(String::from_utf8_lossy(&said).into_owned())
}

fn in_guest(machine: &mut Machine, command: &str) -> Result<String> {
    let output = machine.guest()?.run(command)?;
    Ok(output.stdout + &output.stderr)
}

/// In the dom0 of a real Xen, and in its guest, all by one script.
pub(super) fn xen(
    program: &Path,
    image: &GuestImage,
    cache: &Cache,
    steps: &Steps,
) -> Result<(Vec<Check>, Vec<Answer>)> {
    let checks = Check::all(OnHost {
        devices: (
            "/usr/lib/vgpu-stub/vgpu-stub-device-model -device help | grep vgpu-stub".into(),
            &["name \"vgpu-stub\", bus PCI"],
        ),
        process: (
            "ps -o args | grep '[v]gpu-stub xen'".into(),
            &["-device vgpu-stub"],
        ),
        log: "grep -i vgpu /var/log/xen/qemu-dm-vm.log".into(),
        doctor: "vgpu-stub doctor --vm vm".into(),
    });
    let version = XenVersion::default();
    let bed = Bed::open(cache, steps, version)?;
    let scenario = Scenario::new(script(&checks))
        .file(programs::COMMAND, program)
        .file(programs::EMULATOR, programs::emulator(program))
        .guest(image);
    let output = steps.step(&format!("Start a guest on Xen {version}"), |_| {
        bed.run(&scenario)?.success()
    })?;
    let answers = (0..checks.len()).map(|index| {
        let (_, after) = output.split_once(&begin(index)).unwrap_or_default();
        let (output, _) = after.split_once(&end(index)).unwrap_or_default();
        Answer {
            output: output.trim_start_matches('\n').to_owned(),
        }
    });
    let answers = answers.collect();
    Ok((checks, answers))
}

const PRELUDE: &str = concat!(
    include_str!("../../../tests/suites/xen/scenarios/install.sh"),
    include_str!("xen.sh")
);

/// What dom0 runs: first the guest's commands, by the guest as it starts, then its own.
fn script(checks: &[Check]) -> String {
    let of = |side| {
        let checks = checks.iter().enumerate();
        let lines = checks.filter(move |(_, check)| check.side == side);
        let lines = lines.map(|(index, check)| {
            let (begin, end) = (begin(index), end(index));
            format!("echo '{begin}'\n{} 2>&1\necho '{end}'\n", check.command)
        });
        lines.collect::<String>()
    };
    PRELUDE
        .replace("GUEST_COMMANDS\n", &of(Side::Guest))
        .replace("HOST_COMMANDS\n", &of(Side::Host))
}

/// Lines around the output of a check.
fn begin(index: usize) -> String {
    format!("acceptance: check {index} begins")
}

fn end(index: usize) -> String {
    format!("acceptance: check {index} ends")
}
