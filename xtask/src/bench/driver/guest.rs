//! The guest that is measured in.

use std::fs::File;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Args, value_parser};
use vgpu_bed::machine::MachineBuilder;
use vgpu_bed::own_kernel::OwnKernel;
use vgpu_terminal::OrMend;

const KVM: &str = "/dev/kvm";

/// Its memory, in MiB: two programs in Python, and an engine.
const MEMORY_MIB: u32 = 1024;

/// How long it may take to boot: a kernel that KVM emulates takes minutes.
pub(super) const BOOT: Duration = Duration::from_secs(15 * 60);

#[derive(Debug, Args)]
#[command(next_help_heading = "The guest")]
pub(super) struct Guest {
    /// Have this machine's processors execute it, by KVM; without, QEMU emulates them
    #[arg(long)]
    kvm: bool,

    /// Its processor under KVM, as for QEMU's option -cpu
    #[arg(long, value_name = "MODEL", default_value = "host", requires = "kvm")]
    cpu: String,

    /// Its processors: with one, an engine in the guest has the one of the program that it works for
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = value_parser!(u32).range(1..=64))]
    processors: u32,

    /// Boot a kernel of your own, from the tree where it was built, in place of Debian's
    #[arg(long, value_name = "TREE")]
    kernel: Option<PathBuf>,

    /// More words for its kernel's command line
    #[arg(
        long,
        value_name = "WORDS",
        default_value = "",
        hide_default_value = true
    )]
    append: String,
}

impl Guest {
    /// Sees that KVM is there where that is asked for.
    pub(super) fn ensure_kvm(&self) -> Result<()> {
        if self.kvm {
            let device = File::options().read(true).write(true).open(KVM);
            device.context(KVM).or_mend(
                "Run it as who may use KVM, on a machine that has it; or without --kvm.",
            )?;
        }
        Ok(())
    }

    /// Its kernel, where it is not Debian's.
    pub(super) fn kernel(&self) -> Result<Option<OwnKernel>> {
        self.kernel.as_deref().map(OwnKernel::open).transpose()
    }

    /// Its machine.
    pub(super) fn machine(&self, builder: MachineBuilder) -> MachineBuilder {
        let builder = match self.kvm {
            true => builder.kvm(&self.cpu),
            false => builder,
        };
        builder
            .memory_mib(MEMORY_MIB)
            .kernel_arguments(&self.append)
            .arguments(["-smp", &self.processors.to_string()])
    }

    /// What it is.
    pub(super) fn name(&self, kernel: Option<&OwnKernel>) -> String {
        let Self {
            processors, cpu, ..
        } = self;
        let plural = if *processors == 1 { "" } else { "s" };
        let executed = match self.kvm {
            true => format!("executed by KVM as {cpu}"),
            false => "emulated by TCG".to_owned(),
        };
        let kernel = kernel.map_or(String::new(), |it| format!("; Linux {}", it.release()));
        format!(
            "q35, {processors} processor{plural}, {MEMORY_MIB} MiB, {executed}; the device by vfio-user{kernel}"
        )
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Words {
        #[command(flatten)]
        guest: Guest,
    }

    fn parse(words: &[&str]) -> Result<Guest, clap::Error> {
        let words = [&[""], words].concat();
        Words::try_parse_from(words).map(|it| it.guest)
    }

    #[test]
    fn a_guest_says_who_executes_it() {
        let name = |words: &[&str]| parse(words).unwrap().name(None);
        let served = "the device by vfio-user";
        assert_eq!(
            name(&[]),
            format!("q35, 2 processors, 1024 MiB, emulated by TCG; {served}")
        );
        assert_eq!(
            name(&["--kvm", "--cpu", "host,-cx16", "--processors", "1"]),
            format!("q35, 1 processor, 1024 MiB, executed by KVM as host,-cx16; {served}")
        );
    }

    #[test]
    fn a_processor_is_kvms() {
        let error = parse(&["--cpu", "host"]).err().unwrap().to_string();
        assert!(error.contains("--kvm"), "{error}");
        assert!(parse(&["--processors", "0"]).is_err());
        let guest = parse(&["--kernel", "/nowhere"]).unwrap();
        assert!(guest.kernel().unwrap_err().to_string().contains("/nowhere"));
    }
}
