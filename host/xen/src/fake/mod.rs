//! A Xen of the tests' own, for unit tests and for fuzzing: one domain with one ioreq server, on a real page of requests.
//!
//! It keeps to Xen's rules, sees that the server does, and kills the server at any step. What the domain's vCPUs do
//! meanwhile is a [`Guest`]. How a supervisor makes and ends servers has its part in `servers`.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    clippy::panic,
    clippy::unwrap_used,
    reason = "what does not hold is a panic"
)]

pub(crate) mod devices;
mod domain;
mod memory;
pub(crate) mod page;
mod ranges;
#[cfg(test)]
pub(crate) mod servers;
mod steps;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::io::Errno;
use vgpu_sandbox::Sandboxed;
use xen_dm::device_model::Range;
use xen_dm::ioreq::Request;

use crate::hypervisor::Hypervisor;
use crate::machine::Machine;
use crate::mapping::Mapping;
use crate::request_loop;

pub(crate) use domain::Domain;
pub(crate) use ranges::Ranges;
pub(crate) use steps::Killed;

/// What goes on in a domain beside its server.
pub(crate) trait Guest {
    /// A server begins, from what is kept.
    fn started(&mut self, domain: &mut Domain) {
        let _ = domain;
    }

    /// The server has brought the domain's ranges in line with what is kept.
    fn taken_over(&mut self, domain: &mut Domain) {
        let _ = domain;
    }

    /// Anything may happen here: the server is between two things that it does.
    fn meanwhile(&mut self, domain: &mut Domain) {
        let _ = domain;
    }

    /// The server waits: puts the numbers of the vCPUs into `vcpus` that have an event for it.
    ///
    /// # Errors
    ///
    /// None will ever come.
    fn events(&mut self, domain: &mut Domain, vcpus: &mut Vec<usize>) -> Result<(), Errno>;

    /// The server has an answer to the request that it took, which is not in the page yet.
    fn answered(&mut self, domain: &mut Domain, vcpu: usize, request: &Request, read: Option<u64>) {
        let _ = (domain, vcpu, request, read);
    }

    /// A vCPU is told to look at its slot of the page.
    fn notified(&mut self, domain: &mut Domain, vcpu: usize) {
        let _ = (domain, vcpu);
    }
}

/// All that outlives a server.
#[derive(Debug)]
pub(crate) struct World<G> {
    pub(crate) domain: Domain,
    pub(crate) guest: G,
}

/// The world, as each part of a server reaches it.
#[derive(Debug)]
pub(crate) struct Fake<G>(Arc<Mutex<World<G>>>);

impl<G> Clone for Fake<G> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<G: Guest> Fake<G> {
    pub(crate) fn with_guest(domain: Domain, guest: G) -> Self {
        Self(Arc::new(Mutex::new(World { domain, guest })))
    }

    pub(crate) fn world(&self) -> MutexGuard<'_, World<G>> {
        // A server that is killed may hold it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T>(&self, act: impl FnOnce(&mut Domain, &mut G) -> T) -> T {
        let World { domain, guest } = &mut *self.world();
        act(domain, guest)
    }

    /// Where the server may die.
    fn step(&self) {
        self.with(|domain, _| domain.steps().step());
    }

    /// The same, where anything may happen before.
    fn meanwhile(&self) {
        self.with(|domain, guest| guest.meanwhile(domain));
        self.step();
    }

    /// A server as it starts: from what is kept. It runs until it ends by itself; returns whether it was killed.
    pub(crate) fn serve(&self) -> bool {
        let served = catch_unwind(AssertUnwindSafe(|| {
            let (mut machine, left) = self.machine();
            let mut hypervisor = self.clone();
            machine.take_over(&mut hypervisor, &left);
            self.with(|domain, guest| guest.taken_over(domain));
            request_loop::catch_up(&mut hypervisor, &mut machine, Sandboxed::pretend());
            request_loop::run(&mut hypervisor, &mut machine, Sandboxed::pretend());
        }));
        // The next one lives on.
        self.with(|domain, _| domain.steps().kill_after(None));
        match served {
            Ok(()) => false,
            Err(panic) if panic.is::<Killed>() => true,
            Err(panic) => resume_unwind(panic),
        }
    }

    /// The devices as a server finds them, and the mappings that were left.
    pub(crate) fn machine(&self) -> (Machine, Vec<Mapping>) {
        self.with(|domain, guest| {
            domain.forget_taken();
            guest.started(domain);
            devices::machine(domain.kept(), domain.steps())
        })
    }
}

impl<G: Guest> Hypervisor for Fake<G> {
    fn map(&mut self, range: Range, mapped: bool) -> Result<(), Errno> {
        self.meanwhile();
        self.with(|domain, _| domain.map(range, mapped))?;
        self.step();
        Ok(())
    }

    fn vcpus(&self) -> usize {
        self.world().domain.vcpus()
    }

    fn wait(&mut self, vcpus: &mut Vec<usize>) -> Result<(), Errno> {
        self.step();
        vcpus.clear();
        self.with(|domain, guest| {
            domain.live()?;
            guest.events(domain, vcpus)
        })?;
        self.step();
        Ok(())
    }

    fn take(&mut self, vcpu: usize) -> Option<Request> {
        self.step();
        let request = self.with(|domain, _| domain.take(vcpu))?;
        self.meanwhile();
        Some(request)
    }

    fn complete(&mut self, vcpu: usize, read: Option<u64>) {
        self.meanwhile();
        self.with(|domain, guest| {
            let request = domain.answered(vcpu, read);
            guest.answered(domain, vcpu, &request, read);
            domain.complete(vcpu, read);
        });
        self.step();
        self.notify(vcpu);
    }

    fn notify(&mut self, vcpu: usize) {
        self.step();
        self.with(|domain, guest| {
            assert!(vcpu < domain.vcpus());
            guest.notified(domain, vcpu);
        });
        self.step();
    }

    fn read_guest(&mut self, address: u64, data: &mut [u8]) -> Result<(), Errno> {
        self.meanwhile();
        self.with(|domain, _| {
            data.copy_from_slice(domain.copied(address, data.len())?);
            Ok(())
        })
    }

    fn write_guest(&mut self, address: u64, data: &[u8]) -> Result<(), Errno> {
        self.meanwhile();
        self.with(|domain, _| {
            domain.copied(address, data.len())?.copy_from_slice(data);
            Ok(())
        })
    }
}
