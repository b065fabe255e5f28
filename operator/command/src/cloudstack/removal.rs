//! The way back: a VM has no device any more, then no VM can have one.

use super::Args;
use super::call::Call;
use super::steps::Step;

/// What undoes each step, for each VM first. `keys` are those that the device
/// needs of the list.
pub(super) fn steps(args: &Args, keys: &[&str]) -> Vec<Step> {
    vec![
        show(),
        clean_up(),
        put_back(),
        delete_offering(),
        untag_host(args),
        disallow(args, keys),
        disable(),
    ]
}

/// CloudStack keeps extra configuration among a VM's details, as `extraconfig-1`
/// and so on, and takes away all details or none: an update of the others
/// leaves these (UserVmManagerImpl.updateVirtualMachine).
fn show() -> Step {
    Step::new(
        "See which settings a VM has",
        Call::new("listVirtualMachines").with("id", "VM_ID"),
    )
    .note("They are its 'details'; those called extraconfig-1, extraconfig-2 … are the device's.")
}

fn clean_up() -> Step {
    Step::new(
        "Take its settings away, when it has been stopped",
        Call::new("updateVirtualMachine")
            .with("id", "VM_ID")
            .with("cleanupdetails", "true"),
    )
    .note("As root admin. All of them go, as CloudStack removes no extra configuration alone.")
    .note("At its next start the VM has no device.")
}

fn put_back() -> Step {
    Step::new(
        "Put back the others that it had, all in one call",
        Call::new("updateVirtualMachine")
            .with("id", "VM_ID")
            .with("details[0].NAME", "VALUE"),
    )
    .note("With custom offerings, cpuNumber and memory are among them. Without any, leave it out.")
}

fn delete_offering() -> Step {
    Step::new(
        "When no VM has a device any more: delete the service offering",
        Call::new("deleteServiceOffering").with("id", "OFFERING_ID"),
    )
    .note("VMs that have it keep it until they are given another (scaleVirtualMachine).")
}

fn untag_host(args: &Args) -> Step {
    Step::new(
        "Take the tag from each host",
        Call::new("updateHost")
            .with("id", "HOST_ID")
            .with("hosttags", "OTHER_TAGS"),
    )
    .note(format!(
        "Name all tags of the host but {}, with commas.",
        args.host_tag
    ))
}

fn disallow(args: &Args, keys: &[&str]) -> Step {
    let existing = args.existing_list.split(',').map(str::trim);
    let left: Vec<&str> = existing.filter(|key| !keys.contains(key)).collect();
    let setting = format!(
        "allow.additional.vm.configuration.list.{}",
        args.hypervisor.name()
    );
    Step::new(
        "Allow no more what the device needed",
        Call::new("updateConfiguration")
            .with("name", &setting)
            .with("value", left.join(",")),
    )
    .note(format!(
        "What --existing-list names, without {}.",
        keys.join(" and ")
    ))
    .note("Leave it out where other VMs have extra configuration with these: they start only as long as it is there.")
    .note(format!("cmk list configurations name={setting} filter=value"))
}

fn disable() -> Step {
    Step::new(
        "Where no VM has extra configuration: turn it off",
        Call::new("updateConfiguration")
            .with("name", "enable.additional.vm.configuration")
            .with("value", "false"),
    )
    .note("A VM that still has some does not start any more then.")
}
