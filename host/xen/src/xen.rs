//! Xen's side of the loop: the real one.

use rustix::io::Errno;
use xen_dm::DomainId;
use xen_dm::abi::PAGE_SIZE;
use xen_dm::device_model::{DeviceModel, Range, ServerId};
use xen_dm::event_channel::{EventChannels, Port};
use xen_dm::guest_memory::GuestPage;
use xen_dm::ioreq::{IoreqPage, Request, SLOTS};

use crate::hypervisor::Hypervisor;

/// An ioreq server that this process answers for.
#[derive(Debug)]
pub(crate) struct Xen {
    model: DeviceModel,
    id: ServerId,
    channels: EventChannels,
    requests: IoreqPage,
    /// By vCPU.
    ports: Vec<Option<Port>>,
    /// The guest's page that the request under way has used last.
    guest_page: Option<(u64, GuestPage)>,
}

impl Xen {
    /// Connects to the server, which is enabled by this, and to every vCPU of
    /// the domain. Both handles are restricted to the domain before.
    pub(crate) fn connect(id: ServerId, domain: DomainId) -> std::io::Result<Self> {
        let model = DeviceModel::open(domain)?;
        model.restrict()?;
        let channels = EventChannels::open()?;
        channels.restrict(domain)?;
        let requests = model.map_requests(id)?;
        model.set_enabled(id, true)?;
        let mut ports = Vec::with_capacity(SLOTS);
        for vcpu in 0..SLOTS {
            ports.push(match requests.port(vcpu) {
                Some(port) => Some(channels.bind(domain, port)?),
                None => None,
            });
        }
        while ports.last().is_some_and(Option::is_none) {
            ports.pop();
        }
        Ok(Self {
            model,
            id,
            channels,
            requests,
            ports,
            guest_page: None,
        })
    }

    /// Whether a vCPU has not yet taken an answer.
    pub(crate) fn has_responses(&self) -> bool {
        (0..self.ports.len()).any(|vcpu| self.requests.is_answered(vcpu))
    }

    /// The guest's page of an address, and the offset in it.
    fn guest_page(&mut self, address: u64) -> Result<(&GuestPage, usize), Errno> {
        let (frame, offset) = (address >> PAGE_BITS, offset_in_page(address));
        if self.guest_page.as_ref().is_none_or(|(at, _)| *at != frame) {
            self.guest_page = Some((frame, self.model.map_guest_page(frame)?));
        }
        match &self.guest_page {
            Some((_, page)) => Ok((page, offset)),
            None => Err(Errno::FAULT),
        }
    }
}

const PAGE_BITS: u32 = PAGE_SIZE.ilog2();

fn offset_in_page(address: u64) -> usize {
    (address & (PAGE_SIZE as u64).wrapping_sub(1)) as usize
}

/// Where a copy at `address` has to be cut, as its page ends.
fn bytes_in_page(address: u64, length: usize) -> usize {
    length.min(PAGE_SIZE.saturating_sub(offset_in_page(address)))
}

impl Hypervisor for Xen {
    fn map(&mut self, range: Range, mapped: bool) -> Result<(), Errno> {
        self.model.map(self.id, range, mapped)
    }

    fn vcpus(&self) -> usize {
        self.ports.len()
    }

    fn wait(&mut self, vcpus: &mut Vec<usize>) -> Result<(), Errno> {
        let mut room = [0; SLOTS];
        let ports = self.channels.wait(&mut room)?;
        // Before the requests are looked at: a later one has a new event.
        self.channels.unmask(ports)?;
        vcpus.clear();
        let own = self.ports.iter().enumerate();
        vcpus.extend(own.filter_map(|(vcpu, port)| {
            port.is_some_and(|port| ports.contains(&port.0))
                .then_some(vcpu)
        }));
        Ok(())
    }

    fn take(&mut self, vcpu: usize) -> Option<Request> {
        self.requests.take(vcpu)
    }

    fn complete(&mut self, vcpu: usize, read: Option<u64>) {
        self.guest_page = None;
        self.requests.complete(vcpu, read);
        self.notify(vcpu);
    }

    fn notify(&mut self, vcpu: usize) {
        if let Some(Some(port)) = self.ports.get(vcpu) {
            // It fails where the domain is gone, and then nobody waits.
            let _ = self.channels.notify(*port);
        }
    }

    fn read_guest(&mut self, address: u64, data: &mut [u8]) -> Result<(), Errno> {
        let (first, second) = data.split_at_mut(bytes_in_page(address, data.len()));
        let (page, offset) = self.guest_page(address)?;
        page.read(offset, first);
        if !second.is_empty() {
            let (page, offset) = self.guest_page(address.wrapping_add(first.len() as u64))?;
            page.read(offset, second);
        }
        Ok(())
    }

    fn write_guest(&mut self, address: u64, data: &[u8]) -> Result<(), Errno> {
        let (first, second) = data.split_at(bytes_in_page(address, data.len()));
        let (page, offset) = self.guest_page(address)?;
        page.write(offset, first);
        if !second.is_empty() {
            let (page, offset) = self.guest_page(address.wrapping_add(first.len() as u64))?;
            page.write(offset, second);
        }
        Ok(())
    }
}
