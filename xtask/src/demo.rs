//! `cargo xtask demo`: a virtual machine that finds the device; a CUDA program that runs.

pub(crate) mod attachment;
mod cuda;
mod features;
mod logs;
mod vm;
mod xen;

use std::fs;
use std::io::{self, IsTerminal};

use anyhow::Result;
use clap::{Args, ValueEnum};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};
use vgpu_bed::cache::Cache;
use vgpu_bed::guest::{GuestImage, GuestProgram};
use vgpu_bed::machine::{Machine, MachineBuilder, MachineType};
use vgpu_bed::steps::Steps;
use vgpu_bed::stock_qemu::StockQemu;
use vgpu_terminal::{Failure, OrMend};

use crate::programs;
use attachment::{Attachment, Choice};
use logs::finish;

const EXAMPLES: &str = "\
Examples:
  cargo xtask demo                      boot a guest, list the device there, and check it
  cargo xtask demo --machine q35        on a machine with PCI Express
  cargo xtask demo --attachment vfio-user
                                        with the device in a process beside a stock QEMU
  cargo xtask demo --attachment xen     on a real Xen, started by xl
  cargo xtask demo --suite trixie       with the device built into the QEMU of Debian 13
  cargo xtask demo --shell              look around in the guest yourself
  cargo xtask demo --features           a guest shares its memory with the host: vgpu ping
  cargo xtask demo cuda                 no machine: unmodified tinygrad trains a net on processors
  cargo xtask demo cuda --vm            in two machines at once, which share those of this host

Exit code: 0 if the guest finds the device and every criterion holds, its shared memory works, or the
net learns as on tinygrad's CPU backend and each machine gets its share; 1 otherwise, 128 and the
signal's number if the last was interrupted.";

const LSPCI: &str = "lspci -nnvvv -d 1af4:1111";
const CHECK: &str = "vgpu-stub check";

/// Boot a virtual machine that finds the device
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// What is shown
    #[arg(value_enum, default_value_t = Subject::Device, hide_default_value = true)]
    subject: Subject,

    /// How the device gets into the machine [default: vfio-user where this machine's QEMU can do it, else qemu]
    #[arg(long, value_enum)]
    attachment: Option<Attachment>,

    /// The machine [default: pc]
    #[arg(long, value_enum)]
    machine: Option<Board>,

    /// Build the QEMU of a release of Debian, such as bookworm [default: this machine's]
    #[arg(long, value_name = "CODENAME")]
    suite: Option<String>,

    /// Open a shell in the guest
    #[arg(long)]
    shell: bool,

    /// Have the guest share memory with the host, by vfio-user, and try that
    #[arg(long, conflicts_with_all = ["suite", "shell"])]
    features: bool,

    /// Run the CUDA program in two machines, by an attachment whose device has features [default: vfio-user]
    #[arg(long)]
    vm: bool,

    /// Keep the folder with the machine's logs
    #[arg(long)]
    keep: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Subject {
    /// The device in a guest
    Device,
    /// A CUDA program, without a guest unless --vm is said
    Cuda,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Board {
    /// Conventional PCI
    Pc,
    /// PCI Express
    Q35,
}

impl From<Board> for MachineType {
    fn from(board: Board) -> Self {
        match board {
            Board::Pc => Self::Pc,
            Board::Q35 => Self::Q35,
        }
    }
}

impl Options {
    /// Whether they say what one guest is to be.
    fn chooses_guest(&self) -> bool {
        self.machine.is_some() || self.suite.is_some() || self.shell || self.features
    }
}

/// Runs the command.
pub(crate) fn run(options: &Options, steps: &Steps) -> Result<()> {
    if options.vm {
        if options.subject != Subject::Cuda || options.chooses_guest() {
            return Err(Failure::new(
                "--vm is for the CUDA program, whose machines are as they are",
                "Try: cargo xtask demo cuda --vm",
            )
            .into());
        }
        return vm::demonstrate(options.attachment, options.keep, steps);
    }
    if options.subject == Subject::Cuda {
        if options.attachment.is_some() || options.keep || options.chooses_guest() {
            return Err(Failure::new(
                "there is no guest in this one",
                "Leave out all options, or say --vm.",
            )
            .into());
        }
        return cuda::demonstrate(steps);
    }
    if options.features {
        if !matches!(options.attachment, None | Some(Attachment::VfioUser)) {
            return Err(Failure::new(
                "by this attachment the device has no features",
                "Leave out --attachment, or ask for vfio-user.",
            )
            .into());
        }
        let machine = options.machine.unwrap_or(Board::Q35);
        return features::demonstrate(machine.into(), options.keep, steps);
    }
    let terminal = io::stdin().is_terminal() && io::stdout().is_terminal();
    if options.shell && !terminal {
        return Err(
            Failure::new("there is no terminal for the shell", "Leave out --shell.").into(),
        );
    }
    if options.attachment == Some(Attachment::Xen) && (options.shell || options.machine.is_some()) {
        return Err(Failure::new(
            "Xen's guests have a board of their own, and no shell here",
            "Leave out --shell and --machine, or ask for another attachment.",
        )
        .into());
    }
    let (choice, why) = Choice::new(
        options.attachment,
        options.suite.as_deref(),
        StockQemu::system,
    )?;
    eprintln!("{why}");
    let cache = Cache::open()?;
    let program = programs::build(steps)?;
    let programs = [GuestProgram {
        name: "vgpu-stub",
        file: &program,
    }];
    let image = GuestImage::assemble(&cache, &programs, steps)?;
    let choice = match choice {
        Choice::Qemu(choice) => choice,
        Choice::Xen => return xen::demonstrate(&program, &image, options.keep, &cache, steps),
    };
    let machine = options.machine.unwrap_or(Board::Pc);
    let mut host = choice.prepare(machine.into(), &program, &cache, steps)?;

    let builder = host.builder.image(&image);
    let ended = if options.shell {
        look_around(builder, options.keep)
    } else {
        demonstrate(builder, &host.qemu, options.keep, steps)
    };
    let Some(server) = &mut host.server else {
        return ended;
    };
    let ended = ended.and_then(|()| server.stop());
    if options.keep || ended.is_err() {
        server.keep_folder();
        eprintln!("logs of the device: {}", server.folder().display());
    }
    ended
}

/// Gives the terminal to a shell in the guest.
fn look_around(builder: MachineBuilder, keep: bool) -> Result<()> {
    // QEMU puts the terminal back, except where it crashes.
    let terminal = tcgetattr(io::stdin())?;
    eprintln!(
        "\nThe guest starts. Try there: {LSPCI}; {CHECK}. Leave it with 'exit' or Ctrl-A X.\n"
    );
    let mut machine = builder.shell().start()?;
    let ended = machine.wait();
    tcsetattr(io::stdin(), OptionalActions::Now, &terminal)?;
    finish(&machine, ended, keep)
}

/// Shows what the guest finds, and switches it off.
fn demonstrate(builder: MachineBuilder, qemu: &str, keep: bool, steps: &Steps) -> Result<()> {
    let mut machine = boot(builder, qemu, steps)?;
    let shown = show(&mut machine).and_then(|()| machine.power_off());
    finish(&machine, shown, keep)
}

/// Boots the guest.
fn boot(builder: MachineBuilder, qemu: &str, steps: &Steps) -> Result<Machine> {
    Ok(steps
        .step(&format!("Boot a guest in {qemu}"), |step| {
            let mut machine = builder.start()?;
            step.say(&format!("logs in {}", machine.folder().display()));
            machine.guest()?.wait_ready()?;
            Ok(machine)
        })
        .or_mend("See what QEMU and the guest say above; on a busy machine, try again later.")?)
}

/// Prints what the guest says about the device.
fn show(machine: &mut Machine) -> Result<()> {
    let log = machine.guest()?.run("dmesg")?.success()?;
    fs::write(machine.folder().join("dmesg.log"), log)?;
    let listed = machine.guest()?.run(LSPCI)?.success()?;
    println!("\nguest# {LSPCI}\n{}", listed.trim_end());
    let check = machine.guest()?.run(CHECK)?;
    println!("\nguest# {CHECK}\n{}{}", check.stdout, check.stderr);
    Ok(check
        .success()
        .map(drop)
        .or_mend("Look around in the guest: cargo xtask demo --shell")?)
}
