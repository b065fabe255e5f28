//! `vgpu-stub cloudstack`: how CloudStack gives its VMs the device.

mod call;
mod extra_config;
mod removal;
mod steps;
mod version;

use std::path::PathBuf;
use std::process::ExitCode;

use serde::Serialize;
use vgpu_emulator::DeviceProperties;
use vgpu_terminal::Failure;

use crate::xen;
use extra_config::ExtraConfig;
use steps::Step;
use version::Version;

const EXAMPLES: &str = "\
Examples:
  vgpu-stub cloudstack --hypervisor xenserver --cloudstack-version 4.20.1
  vgpu-stub cloudstack --hypervisor xenserver --cloudstack-version 4.20.1 \\
    --host-tag gpu --existing-list 'platform:exp-nested-hvm,PV-args'
  vgpu-stub cloudstack --hypervisor kvm --cloudstack-version 4.22 \\
    --device slot=0x1a,bar0-size=64K
  vgpu-stub cloudstack --hypervisor kvm --cloudstack-version 4.22 \\
    --vfio-user /run/vgpu-stub/vm1/vfio-user.sock
  vgpu-stub cloudstack --hypervisor kvm --cloudstack-version 4.22 --remove \\
    --existing-list 'qemu:commandline,qemu:arg,devices'
  vgpu-stub cloudstack --hypervisor kvm --cloudstack-version 4.22 --json | jq -r '.steps[].cmk'

See what the list has before it is replaced:
  cmk list configurations name=allow.additional.vm.configuration.list.xenserver filter=value";

const DETAILS: &str = "\
It prints and changes nothing. Each step is a call of CloudStack's API, as a
line for CloudMonkey (cmk) and as a query string for programs that sign their
requests themselves. Words in capitals, such as HOST_ID, are yours to fill in.

CloudStack takes extra configuration in a service offering for DPDK alone. So
the offering here carries the host tag, and each VM its own extraconfig.

JSON:
  {\"version\": 1, \"hypervisor\": \"kvm\", \"cloudstack_version\": \"4.22.0\", \"steps\": [
    {\"title\": \"…\", \"notes\": [\"…\"], \"command\": \"updateConfiguration\",
     \"parameters\": {\"name\": \"…\", \"value\": \"…\"}, \"cmk\": \"…\", \"query\": \"…\"}]}

Exit code:
  0  printed
  2  wrong usage, or a CloudStack that cannot do it";

/// Print the CloudStack API calls that give VMs the device.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{DETAILS}"))]
pub(crate) struct Args {
    /// What CloudStack's hosts run; xenserver stands for XCP-ng too
    #[arg(long, value_enum, ignore_case = true)]
    hypervisor: Hypervisor,

    /// CloudStack's version, such as 4.20.1
    #[arg(long, value_name = "VERSION")]
    cloudstack_version: Version,

    /// The tag of the hosts that can give VMs the device
    #[arg(long, value_name = "TAG", default_value = "vgpu-stub", value_parser = tag)]
    host_tag: String,

    /// What allow.additional.vm.configuration.list.xenserver (or .kvm) has
    /// now, which stays
    #[arg(long, value_name = "KEY,…", default_value = "", hide_default_value = true, value_parser = list)]
    existing_list: String,

    /// Allow extra configuration to this account alone, not to all
    #[arg(long, value_name = "ID", value_parser = tag)]
    account_id: Option<String>,

    /// KVM: properties of a device, such as slot=0x1a,bar0-size=64K; may be
    /// repeated [default: one device in slot 0x18]
    #[arg(long, value_name = "NAME=VALUE,…")]
    device: Vec<String>,

    /// KVM: connect to 'vgpu-stub vfio-user' at this socket, in place of a
    /// QEMU that has the device built in
    #[arg(long, value_name = "SOCKET")]
    vfio_user: Option<PathBuf>,

    /// Print the way back: no more device for a VM, then for all
    #[arg(long, conflicts_with_all = ["device", "vfio_user", "account_id"])]
    remove: bool,

    /// Print JSON in place of lines
    #[arg(long)]
    json: bool,
}

/// What CloudStack calls its hypervisors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
enum Hypervisor {
    /// XCP-ng and XenServer
    #[value(alias = "xcp-ng")]
    Xenserver,
    /// libvirt and QEMU
    Kvm,
}

impl Hypervisor {
    /// The end of the names of its settings.
    fn name(self) -> &'static str {
        match self {
            Self::Xenserver => "xenserver",
            Self::Kvm => "kvm",
        }
    }
}

/// What is printed as JSON.
#[derive(Serialize)]
struct Plan {
    /// Raised when a field changes its meaning or goes away.
    version: u32,
    hypervisor: Hypervisor,
    cloudstack_version: String,
    steps: Vec<Step>,
}

/// Prints the steps.
///
/// # Errors
///
/// This CloudStack cannot do it, a property is wrong, or stdout is closed.
pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    version::check(args.hypervisor, args.cloudstack_version)?;
    let plan = Plan {
        version: 1,
        hypervisor: args.hypervisor,
        cloudstack_version: args.cloudstack_version.to_string(),
        steps: match (extra_config(args)?, args.remove) {
            (config, true) => removal::steps(args, config.keys),
            (config, false) => steps::steps(args, &config),
        },
    };
    vgpu_terminal::print("the steps", |out| match args.json {
        true => vgpu_terminal::json(out, &plan),
        false => (1..)
            .zip(&plan.steps)
            .try_for_each(|(number, step)| step.write(number, out)),
    })?;
    Ok(ExitCode::SUCCESS)
}

/// What a VM is given.
fn extra_config(args: &Args) -> Result<ExtraConfig, Failure> {
    match (args.hypervisor, &args.vfio_user) {
        (Hypervisor::Xenserver, None) if args.device.is_empty() => Ok(ExtraConfig::xenserver()),
        (Hypervisor::Xenserver, None) => Err(Failure::new(
            "--device has no meaning for XCP-ng: CloudStack can name the device, not its properties",
            "write them to /etc/vgpu-stub/xcp.conf on each host, and leave out --device",
        )),
        (Hypervisor::Xenserver, Some(_)) => Err(Failure::new(
            "--vfio-user has no meaning for XCP-ng: its QEMU does not know vfio-user",
            "leave it out: on XCP-ng the device is emulated beside QEMU",
        )),
        (Hypervisor::Kvm, None) => built_in(&args.device),
        (Hypervisor::Kvm, Some(_)) if !args.device.is_empty() => Err(Failure::new(
            "--device has no meaning with --vfio-user: the server has the properties",
            "give them to vgpu-stub vfio-user --device, and leave them out here",
        )),
        (Hypervisor::Kvm, Some(socket)) => ExtraConfig::vfio_user(socket),
    }
}

/// Devices of a QEMU that has them built in.
fn built_in(given: &[String]) -> Result<ExtraConfig, Failure> {
    let parsed = given.iter().map(|device| {
        device.parse::<DeviceProperties>().map_err(|cause| {
            Failure::new(
                format!("--device {device}: {cause}"),
                "see vgpu-stub xen --help for the properties",
            )
        })
    });
    let placed = xen::devices(&parsed.collect::<Result<Vec<_>, _>>()?)?;
    let words = given.iter().map(String::as_str).chain([""]);
    Ok(ExtraConfig::built_in(words.zip(&placed)))
}

/// A word that needs no quotes anywhere.
fn tag(text: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    if text.is_empty() || !text.chars().all(plain) {
        return Err("expected one word of letters, digits, '_', '.' and '-'".into());
    }
    Ok(text.to_owned())
}

/// A list of keys or of XML tags, as CloudStack has it.
fn list(text: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_.:-, ".contains(c);
    match text.chars().find(|c| !plain(*c)) {
        Some(c) => Err(format!("{c:?} is in no key that CloudStack takes")),
        None => Ok(text.to_owned()),
    }
}
