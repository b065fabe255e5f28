//! What the user asked for.

use std::path::PathBuf;

use crate::hypervisor::Hypervisor;
use crate::version::Version;

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
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{DETAILS}"))]
pub struct Args {
    /// What CloudStack's hosts run; xenserver stands for XCP-ng too
    #[arg(long, value_enum, ignore_case = true)]
    pub(crate) hypervisor: Hypervisor,

    /// CloudStack's version, such as 4.20.1
    #[arg(long, value_name = "VERSION")]
    pub(crate) cloudstack_version: Version,

    /// The tag of the hosts that can give VMs the device
    #[arg(long, value_name = "TAG", default_value = "vgpu-stub", value_parser = tag)]
    pub(crate) host_tag: String,

    /// What allow.additional.vm.configuration.list.xenserver (or .kvm) has
    /// now, which stays
    #[arg(long, value_name = "KEY,…", default_value = "", hide_default_value = true, value_parser = list)]
    pub(crate) existing_list: String,

    /// Allow extra configuration to this account alone, not to all
    #[arg(long, value_name = "ID", value_parser = tag)]
    pub(crate) account_id: Option<String>,

    /// KVM: properties of a device, such as slot=0x1a,bar0-size=64K; may be
    /// repeated [default: one device in slot 0x18]
    #[arg(long, value_name = "NAME=VALUE,…")]
    pub(crate) device: Vec<String>,

    /// KVM: connect to 'vgpu-stub vfio-user' at this socket, in place of a
    /// QEMU that has the device built in
    #[arg(long, value_name = "SOCKET")]
    pub(crate) vfio_user: Option<PathBuf>,

    /// Print the way back: no more device for a VM, then for all
    #[arg(long, conflicts_with_all = ["device", "vfio_user", "account_id"])]
    pub(crate) remove: bool,

    /// Print JSON in place of lines
    #[arg(long)]
    pub(crate) json: bool,
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
