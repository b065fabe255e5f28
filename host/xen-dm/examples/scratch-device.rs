//! A PCI function for a guest of Xen whose 256 bytes of config space are plain storage, beside the guest's QEMU.
//!
//!     scratch-device DOMID SLOT
//!
//! In dom0, as root, for a domain that is created and paused (`xl create -p`). It ends with its stdin.

use std::error::Error;
use std::{env, io};

use rustix::event::{PollFd, PollFlags, poll};
use xen_dm::DomainId;
use xen_dm::device_model::{DeviceModel, Range, ServerId};
use xen_dm::event_channel::EventChannels;
use xen_dm::ioreq::{Kind, Request, SLOTS};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let mut number = || arguments.next().ok_or("usage: scratch-device DOMID SLOT");
    let domain = DomainId(number()?.parse()?);
    let slot = number()?.parse()?;

    // From here on this handle reaches one domain.
    let model = DeviceModel::open(domain)?;
    model.restrict()?;
    let server = Server {
        id: model.create_server()?,
        model: &model,
    };
    model.map(server.id, Range::Pci { slot }, true)?;
    server.answer(domain, &mut Function::new(slot))
}

/// An ioreq server that goes with this. Nothing may be pending then: its vCPU would wait for ever.
struct Server<'a> {
    model: &'a DeviceModel,
    id: ServerId,
}

impl Drop for Server<'_> {
    fn drop(&mut self) {
        // It fails where the domain is gone, and its servers with it.
        let _ = self.model.destroy_server(self.id);
    }
}

impl Server<'_> {
    /// Answers the guest until stdin ends.
    fn answer(&self, domain: DomainId, function: &mut Function) -> Result<(), Box<dyn Error>> {
        let channels = EventChannels::open()?;
        channels.restrict(domain)?;
        let page = self.model.map_requests(self.id)?;
        // Xen notes each vCPU's event channel in the page now.
        self.model.set_enabled(self.id, true)?;
        let mut vcpus = Vec::new();
        for vcpu in 0..SLOTS {
            if let Some(port) = page.port(vcpu) {
                vcpus.push((vcpu, channels.bind(domain, port)?));
            }
        }
        let stdin = io::stdin();
        loop {
            let mut fds = [
                PollFd::new(&channels, PollFlags::IN),
                PollFd::new(&stdin, PollFlags::IN),
            ];
            poll(&mut fds, None)?;
            let [_, end] = fds.map(|fd| !fd.revents().is_empty());
            if end {
                // No more requests; those that there are get their answers below.
                self.model.set_enabled(self.id, false)?;
            } else {
                let mut room = [0; SLOTS];
                let ports = channels.wait(&mut room)?;
                // Before the requests are looked at: a later one has a new event.
                channels.unmask(ports)?;
            }
            for &(vcpu, port) in &vcpus {
                if let Some(request) = page.take(vcpu) {
                    page.complete(vcpu, function.access(&request));
                    channels.notify(port)?;
                }
            }
            if end {
                return Ok(());
            }
        }
    }
}

struct Function {
    /// Its bus, device and function number.
    number: u64,
    config: [u8; 256],
}

impl Function {
    fn new(slot: u8) -> Self {
        let mut config = [0; 256];
        // Vendor and device id; a device of no class.
        config[..4].copy_from_slice(&[0x34, 0x12, 0x78, 0x56]);
        config[0x0b] = 0xff;
        Self {
            number: u64::from(slot) << 3,
            config,
        }
    }

    /// Does what a request asks for, and returns what it reads: all ones where there is nothing, as on a bus.
    fn access(&mut self, request: &Request) -> Option<u64> {
        let ones = request.read.then_some(u64::MAX);
        let (function, register) = (request.address >> 32, request.address as u32 as usize);
        let size = request.size as usize;
        if request.kind != Kind::PciConfig || function != self.number || !(1..=4).contains(&size) {
            return ones;
        }
        let Some(bytes) = self.config.get_mut(register..register + size) else {
            return ones;
        };
        let mut value = request.data.to_le_bytes();
        if request.read {
            value[..size].copy_from_slice(bytes);
            return Some(u64::from_le_bytes(value));
        }
        bytes.copy_from_slice(&value[..size]);
        None
    }
}
