//! The request loop: takes the ioreqs of a domain's vCPUs, and completes each.

use rustix::io::Errno;
use vgpu_sandbox::Sandboxed;

use crate::hypervisor::Hypervisor;
use crate::machine::Machine;

/// Answers every vCPU, after [`catch_up`], for as long as the hypervisor lets it.
pub(crate) fn run(
    hypervisor: &mut dyn Hypervisor,
    machine: &mut Machine,
    sandboxed: Sandboxed,
) -> Errno {
    let mut vcpus = Vec::with_capacity(hypervisor.vcpus());
    loop {
        if let Err(errno) = hypervisor.wait(&mut vcpus) {
            return errno;
        }
        for &vcpu in &vcpus {
            handle_request(hypervisor, machine, vcpu, sandboxed);
        }
    }
}

/// Completes what a dead server has left, without waiting for an event: the
/// dead one may have taken it. A vCPU whose request it completed may not have
/// been told, so each is.
pub(crate) fn catch_up(
    hypervisor: &mut dyn Hypervisor,
    machine: &mut Machine,
    sandboxed: Sandboxed,
) {
    for vcpu in 0..hypervisor.vcpus() {
        handle_request(hypervisor, machine, vcpu, sandboxed);
        hypervisor.notify(vcpu);
    }
}

/// Does what a guest asks for, which only a process in its sandbox may look at.
fn handle_request(
    hypervisor: &mut dyn Hypervisor,
    machine: &mut Machine,
    vcpu: usize,
    _: Sandboxed,
) {
    if let Some(request) = hypervisor.take(vcpu) {
        let read = machine.emulate(hypervisor, &request);
        hypervisor.complete(vcpu, read);
    }
}

/// Completes whatever is pending as if there were no device.
pub(crate) fn drain(hypervisor: &mut dyn Hypervisor) {
    for vcpu in 0..hypervisor.vcpus() {
        if let Some(request) = hypervisor.take(vcpu) {
            hypervisor.complete(vcpu, request.read.then_some(u64::MAX));
        }
        hypervisor.notify(vcpu);
    }
}
