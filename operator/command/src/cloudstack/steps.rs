//! What an administrator of CloudStack does, in order.

use std::io::{self, Write};

use serde::ser::{Serialize, SerializeMap, SerializeStruct, Serializer};

use super::call::Call;
use super::extra_config::ExtraConfig;
use super::{Args, Hypervisor, version};

/// A call, and what to know about it.
#[derive(Debug)]
pub(super) struct Step {
    title: &'static str,
    notes: Vec<String>,
    call: Call,
}

impl Step {
    pub(super) fn new(title: &'static str, call: Call) -> Self {
        Self {
            title,
            notes: Vec::new(),
            call,
        }
    }

    pub(super) fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// Writes it for a reader; all but the line for CloudMonkey is a comment
    /// of a shell.
    pub(super) fn write(&self, number: usize, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "# {number}. {}", self.title)?;
        for note in &self.notes {
            writeln!(out, "#    {note}")?;
        }
        writeln!(out, "#    API: {}", self.call.query())?;
        writeln!(out, "{}\n", self.call.cmk())
    }
}

impl Serialize for Step {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut step = serializer.serialize_struct("Step", 6)?;
        step.serialize_field("title", self.title)?;
        step.serialize_field("notes", &self.notes)?;
        step.serialize_field("command", self.call.command)?;
        step.serialize_field("parameters", &Parameters(&self.call.parameters))?;
        step.serialize_field("cmk", &self.call.cmk())?;
        step.serialize_field("query", &self.call.query())?;
        step.end()
    }
}

/// Parameters as an object, in their order.
struct Parameters<'a>(&'a [(&'static str, String)]);

impl Serialize for Parameters<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in self.0 {
            object.serialize_entry(name, value)?;
        }
        object.end()
    }
}

/// All steps.
pub(super) fn steps(args: &Args, config: &ExtraConfig) -> Vec<Step> {
    vec![
        enable(args),
        allow(args, config.keys),
        tag_host(args),
        create_offering(args),
        deploy(args, config),
        update(config),
    ]
}

fn enable(args: &Args) -> Step {
    let call = Call::new("updateConfiguration")
        .with("name", "enable.additional.vm.configuration")
        .with("value", "true");
    let (call, whose) = match &args.account_id {
        Some(id) => (call.with("accountid", id), "of this account"),
        None => (
            call,
            "of every account (--account-id ID allows it to one alone)",
        ),
    };
    let step = Step::new("Allow VMs to have extra configuration", call).note(format!(
        "For the VMs {whose}; they start only as long as it stays on."
    ));
    match args.hypervisor {
        Hypervisor::Xenserver => step,
        // The check is skipped where the text has a ':'.
        Hypervisor::Kvm => step.note(
            "Whoever may do this can give QEMU any argument, as CloudStack's check of KVM's list can be got around.",
        ),
    }
}

fn allow(args: &Args, keys: &[&str]) -> Step {
    let mut list: Vec<&str> = Vec::new();
    let existing = args.existing_list.split(',').map(str::trim);
    for key in existing.chain(keys.iter().copied()) {
        if !key.is_empty() && !list.contains(&key) {
            list.push(key);
        }
    }
    let setting = format!(
        "allow.additional.vm.configuration.list.{}",
        args.hypervisor.name()
    );
    let step = Step::new(
        "Allow what the device needs",
        Call::new("updateConfiguration")
            .with("name", &setting)
            .with("value", list.join(",")),
    );
    if args.existing_list.is_empty() {
        step.note("This replaces the list. What it has now is lost unless --existing-list names it; it is shown by")
            .note(format!("cmk list configurations name={setting} filter=value"))
    } else {
        step.note("What --existing-list names stays.")
    }
}

fn tag_host(args: &Args) -> Step {
    let needed = match (args.hypervisor, &args.vfio_user) {
        (Hypervisor::Xenserver, _) => {
            "Each host that has the kit of vgpu-stub. One without it starts such a VM without the device."
        }
        (Hypervisor::Kvm, None) => {
            "Each host whose QEMU has the device; others cannot start such a VM."
        }
        (Hypervisor::Kvm, Some(_)) => {
            "Each host with QEMU 10.1 or later, and the server at that socket before the VM starts."
        }
    };
    let step = Step::new(
        "Tag the hosts that can give VMs the device",
        Call::new("updateHost")
            .with("id", "HOST_ID")
            .with("hosttags", &args.host_tag),
    )
    .note(needed)
    .note("This replaces the host's tags: name those that it has, with commas.");
    if args.hypervisor == Hypervisor::Xenserver && args.cloudstack_version < version::XCP_NG_8_3 {
        return step.note(format!(
            "XCP-ng 8.3 needs CloudStack {} or later.",
            version::XCP_NG_8_3
        ));
    }
    step
}

fn create_offering(args: &Args) -> Step {
    Step::new(
        "Make a service offering that keeps VMs on these hosts",
        Call::new("createServiceOffering")
            .with("name", "vgpu-stub")
            .with("displaytext", "With a virtual GPU")
            .with("cpunumber", "2")
            .with("cpuspeed", "1000")
            .with("memory", "2048")
            .with("hosttags", &args.host_tag),
    )
    .note("Size and name are yours to change. The device itself comes with the VM: CloudStack takes extra")
    .note("configuration in a service offering for DPDK alone.")
}

fn deploy(args: &Args, config: &ExtraConfig) -> Step {
    let step = Step::new(
        "Start a new VM with the device",
        Call::new("deployVirtualMachine")
            .with("zoneid", "ZONE_ID")
            .with("templateid", "TEMPLATE_ID")
            .with("serviceofferingid", "OFFERING_ID")
            .with("networkids", "NETWORK_ID")
            .with("extraconfig", config.encoded()),
    );
    match &args.vfio_user {
        Some(_) => step
            .note("A socket serves one VM: run this command for each, with a --vfio-user of its own.")
            .note("libvirt runs all QEMUs as one user. The label that keeps those of other VMs from this socket,")
            .note("and how to add it, is in the book: The device under CloudStack, KVM."),
        None => step,
    }
}

fn update(config: &ExtraConfig) -> Step {
    Step::new(
        "Or give the device to a VM that there is, which has been stopped and uses that offering",
        Call::new("updateVirtualMachine")
            .with("id", "VM_ID")
            .with("extraconfig", config.encoded()),
    )
    .note("It takes the place of extra configuration that the VM has under the same numbers.")
}
