//! The data: what cannot be had, and the calls that give VMs the device and take it away, with what to know about each.
//!
//! In texts and values, a name between braces stands for one of [`Values`](super::values::Values).

use crate::facts::Fact::{
    self, AllAccounts, Before, BuiltIn, ListKnown, ListUnknown, On, OneAccount, Properties,
    VfioUser,
};
use crate::hypervisor::Hypervisor::{Kvm, Xenserver};
use crate::version::XCP_NG_8_3;

/// A step: a call, and what to know about it.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) title: &'static str,
    /// The lines that are there where these facts hold.
    pub(crate) notes: &'static [(&'static [Fact], &'static str)],
    pub(crate) command: &'static str,
    /// Name and value of each, in order, where these facts hold.
    pub(crate) parameters: &'static [(&'static [Fact], &'static str, &'static str)],
}

/// What is refused where these facts hold, and the mend.
pub(crate) const REFUSED: [(&[Fact], &str, &str); 3] = [
    (
        &[On(Xenserver), VfioUser],
        "--vfio-user has no meaning for XCP-ng: its QEMU does not know vfio-user",
        "leave it out: on XCP-ng the device is emulated beside QEMU",
    ),
    (
        &[On(Xenserver), Properties],
        "--device has no meaning for XCP-ng: CloudStack can name the device, not its properties",
        "write them to /etc/vgpu-stub/xcp.conf on each host, and leave out --device",
    ),
    (
        &[On(Kvm), VfioUser, Properties],
        "--device has no meaning with --vfio-user: the server has the properties",
        "give them to vgpu-stub vfio-user --device, and leave them out here",
    ),
];

/// What gives VMs the device.
pub(crate) const GIVE: [Row; 6] = [
    Row {
        title: "Allow VMs to have extra configuration",
        notes: &[
            (
                &[AllAccounts],
                "For the VMs of every account (--account-id ID allows it to one alone); they start only as long as it stays on.",
            ),
            (
                &[OneAccount],
                "For the VMs of this account; they start only as long as it stays on.",
            ),
            // The check is skipped where the text has a ':'.
            (
                &[On(Kvm)],
                "Whoever may do this can give QEMU any argument, as CloudStack's check of KVM's list can be got around.",
            ),
        ],
        command: "updateConfiguration",
        parameters: &[
            (&[], "name", "enable.additional.vm.configuration"),
            (&[], "value", "true"),
            (&[OneAccount], "accountid", "{account}"),
        ],
    },
    Row {
        title: "Allow what the device needs",
        notes: &[
            (
                &[ListUnknown],
                "This replaces the list. What it has now is lost unless --existing-list names it; it is shown by",
            ),
            (
                &[ListUnknown],
                "cmk list configurations name={setting} filter=value",
            ),
            (&[ListKnown], "What --existing-list names stays."),
        ],
        command: "updateConfiguration",
        parameters: &[
            (&[], "name", "{setting}"),
            (&[], "value", "{list with keys}"),
        ],
    },
    Row {
        title: "Tag the hosts that can give VMs the device",
        notes: &[
            (
                &[On(Xenserver)],
                "Each host that has the kit of vgpu-stub. One without it starts such a VM without the device.",
            ),
            (
                &[BuiltIn],
                "Each host whose QEMU has the device; others cannot start such a VM.",
            ),
            (
                &[VfioUser],
                "Each host with QEMU 10.1 or later, and the server at that socket before the VM starts.",
            ),
            (
                &[],
                "This replaces the host's tags: name those that it has, with commas.",
            ),
            (
                &[On(Xenserver), Before(XCP_NG_8_3)],
                "XCP-ng 8.3 needs CloudStack {version for XCP-ng 8.3} or later.",
            ),
        ],
        command: "updateHost",
        parameters: &[(&[], "id", "HOST_ID"), (&[], "hosttags", "{host tag}")],
    },
    Row {
        title: "Make a service offering that keeps VMs on these hosts",
        notes: &[
            (
                &[],
                "Size and name are yours to change. The device itself comes with the VM: CloudStack takes extra",
            ),
            (&[], "configuration in a service offering for DPDK alone."),
        ],
        command: "createServiceOffering",
        parameters: &[
            (&[], "name", "vgpu-stub"),
            (&[], "displaytext", "With a virtual GPU"),
            (&[], "cpunumber", "2"),
            (&[], "cpuspeed", "1000"),
            (&[], "memory", "2048"),
            (&[], "hosttags", "{host tag}"),
        ],
    },
    Row {
        title: "Start a new VM with the device",
        notes: &[
            (
                &[VfioUser],
                "A socket serves one VM: run this command for each, with a --vfio-user of its own.",
            ),
            (
                &[VfioUser],
                "libvirt runs all QEMUs as one user. The label that keeps those of other VMs from this socket,",
            ),
            (
                &[VfioUser],
                "and how to add it, is in the book: The device under CloudStack, KVM.",
            ),
        ],
        command: "deployVirtualMachine",
        parameters: &[
            (&[], "zoneid", "ZONE_ID"),
            (&[], "templateid", "TEMPLATE_ID"),
            (&[], "serviceofferingid", "OFFERING_ID"),
            (&[], "networkids", "NETWORK_ID"),
            (&[], "extraconfig", "{extra configuration}"),
        ],
    },
    Row {
        title: "Or give the device to a VM that there is, which has been stopped and uses that offering",
        notes: &[(
            &[],
            "It takes the place of extra configuration that the VM has under the same numbers.",
        )],
        command: "updateVirtualMachine",
        parameters: &[
            (&[], "id", "VM_ID"),
            (&[], "extraconfig", "{extra configuration}"),
        ],
    },
];

/// What undoes each step, for each VM first.
pub(crate) const TAKE_AWAY: [Row; 7] = [
    // CloudStack keeps extra configuration among a VM's details, as `extraconfig-1` and so on, and takes away all details or
    // none: an update of the others leaves these (UserVmManagerImpl.updateVirtualMachine).
    Row {
        title: "See which settings a VM has",
        notes: &[(
            &[],
            "They are its 'details'; those called extraconfig-1, extraconfig-2 … are the device's.",
        )],
        command: "listVirtualMachines",
        parameters: &[(&[], "id", "VM_ID")],
    },
    Row {
        title: "Take its settings away, when it has been stopped",
        notes: &[
            (
                &[],
                "As root admin. All of them go, as CloudStack removes no extra configuration alone.",
            ),
            (&[], "At its next start the VM has no device."),
        ],
        command: "updateVirtualMachine",
        parameters: &[(&[], "id", "VM_ID"), (&[], "cleanupdetails", "true")],
    },
    Row {
        title: "Put back the others that it had, all in one call",
        notes: &[(
            &[],
            "With custom offerings, cpuNumber and memory are among them. Without any, leave it out.",
        )],
        command: "updateVirtualMachine",
        parameters: &[(&[], "id", "VM_ID"), (&[], "details[0].NAME", "VALUE")],
    },
    Row {
        title: "When no VM has a device any more: delete the service offering",
        notes: &[(
            &[],
            "VMs that have it keep it until they are given another (scaleVirtualMachine).",
        )],
        command: "deleteServiceOffering",
        parameters: &[(&[], "id", "OFFERING_ID")],
    },
    Row {
        title: "Take the tag from each host",
        notes: &[(
            &[],
            "Name all tags of the host but {host tag}, with commas.",
        )],
        command: "updateHost",
        parameters: &[(&[], "id", "HOST_ID"), (&[], "hosttags", "OTHER_TAGS")],
    },
    Row {
        title: "Allow no more what the device needed",
        notes: &[
            (&[], "What --existing-list names, without {keys}."),
            (
                &[],
                "Leave it out where other VMs have extra configuration with these: they start only as long as it is there.",
            ),
            (&[], "cmk list configurations name={setting} filter=value"),
        ],
        command: "updateConfiguration",
        parameters: &[
            (&[], "name", "{setting}"),
            (&[], "value", "{list without keys}"),
        ],
    },
    Row {
        title: "Where no VM has extra configuration: turn it off",
        notes: &[(
            &[],
            "A VM that still has some does not start any more then.",
        )],
        command: "updateConfiguration",
        parameters: &[
            (&[], "name", "enable.additional.vm.configuration"),
            (&[], "value", "false"),
        ],
    },
];
