//! What each command does once a connection has begun.

use rustix::io::Errno;
use vfio_bindings::bindings::vfio::{
    VFIO_DEVICE_FLAGS_PCI, VFIO_DEVICE_FLAGS_RESET, VFIO_IRQ_INFO_EVENTFD,
};
use zerocopy::{FromBytes, Immutable, KnownLayout};

use crate::device::Device;
use crate::dma::DmaMaps;
use crate::files::Files;
use crate::interrupts::{InterruptIndex, Interrupts};
use crate::limits::MAX_DATA;
use crate::receive::Message;
use crate::region::{Region, RegionIndex};
use crate::reply::Reply;
use crate::wire::{self, Command};

/// A device and what one client has set up with it.
pub(crate) struct Session<'a> {
    device: &'a mut dyn Device,
    dma: DmaMaps,
    interrupts: Interrupts,
}

impl<'a> Session<'a> {
    pub(crate) fn new(device: &'a mut dyn Device) -> Self {
        let interrupts = Interrupts::new(|index| device.interrupt_count(index));
        device.connected(&interrupts);
        Self {
            device,
            dma: DmaMaps::default(),
            interrupts,
        }
    }

    /// Does what the message asks for.
    ///
    /// # Errors
    ///
    /// `EINVAL` for what the protocol does not allow, `ENOTSUP` for a command
    /// that this server does not have, `EMFILE` where descriptors were lost,
    /// else as the command's own rules and the device say. Nothing has changed
    /// then. Descriptors that are not used are left in the message.
    pub(crate) fn handle(
        &mut self,
        message: &mut Message<'_>,
        reply: &mut Reply,
    ) -> Result<(), Errno> {
        let Message {
            header,
            payload,
            files,
        } = message;
        if files.overflowed() {
            return Err(Errno::MFILE);
        }
        if header.flags & wire::TYPE_MASK != 0 {
            // A reply, but this server asks for nothing.
            return Err(Errno::INVAL);
        }
        let command = Command::of(header);
        match command {
            Some(Command::DmaMap) => return self.dma_map(payload, files),
            Some(Command::DeviceSetIrqs) => return self.set_irqs(payload, files),
            _ if !files.is_empty() => return Err(Errno::INVAL),
            _ => {}
        }
        match command {
            Some(Command::RegionRead) => self.region_read(payload, reply),
            Some(Command::RegionWrite) => self.region_write(payload, reply),
            Some(Command::DmaUnmap) => self.dma_unmap(payload, reply),
            Some(Command::DeviceGetInfo) => device_info(payload, reply),
            Some(Command::DeviceGetRegionInfo) => self.region_info(payload, reply),
            Some(Command::DeviceGetIrqInfo) => self.irq_info(payload, reply),
            Some(Command::DeviceReset) => {
                nothing(payload)?;
                self.device.reset()
            }
            // Once is enough.
            Some(Command::Version) => Err(Errno::INVAL),
            Some(Command::DmaMap | Command::DeviceSetIrqs) | None => Err(Errno::NOTSUP),
        }
    }

    fn region_read(&mut self, payload: &[u8], reply: &mut Reply) -> Result<(), Errno> {
        let access: wire::RegionAccess = whole(payload)?;
        let index = RegionIndex::from_wire(access.region)?;
        let (region, count) = self.accessed(index, &access)?;
        if !region.readable {
            return Err(Errno::ACCESS);
        }
        reply.put(&access)?;
        self.device.read(index, access.offset, reply.space(count)?)
    }

    fn region_write(&mut self, payload: &[u8], reply: &mut Reply) -> Result<(), Errno> {
        let (access, data) =
            wire::RegionAccess::read_from_prefix(payload).map_err(|_| Errno::INVAL)?;
        let index = RegionIndex::from_wire(access.region)?;
        let (region, count) = self.accessed(index, &access)?;
        if data.len() != count {
            return Err(Errno::INVAL);
        }
        if !region.writable {
            return Err(Errno::ACCESS);
        }
        self.device.write(index, access.offset, data)?;
        reply.put(&access)
    }

    /// The region of an access that lies within it, and the access's size.
    fn accessed(
        &self,
        index: RegionIndex,
        access: &wire::RegionAccess,
    ) -> Result<(Region, usize), Errno> {
        let region = self.device.region(index);
        let count = access.count as usize;
        let valid = (1..=MAX_DATA).contains(&count) && region.holds(access.offset, count);
        valid.then_some((region, count)).ok_or(Errno::INVAL)
    }

    fn dma_map(&mut self, payload: &[u8], files: &mut Files) -> Result<(), Errno> {
        let request: wire::DmaMap = whole(payload)?;
        fits::<wire::DmaMap>(request.argsz)?;
        if files.len() > 1 {
            return Err(Errno::INVAL);
        }
        self.dma.map(&request, files, self.device)
    }

    fn dma_unmap(&mut self, payload: &[u8], reply: &mut Reply) -> Result<(), Errno> {
        let request: wire::DmaUnmap = whole(payload)?;
        fits::<wire::DmaUnmap>(request.argsz)?;
        self.dma.unmap(&request, self.device)?;
        reply.put(&request)
    }

    fn region_info(&self, payload: &[u8], reply: &mut Reply) -> Result<(), Errno> {
        let request: wire::RegionInfo = whole(payload)?;
        fits::<wire::RegionInfo>(request.argsz)?;
        let region = self.device.region(RegionIndex::from_wire(request.index)?);
        reply.put(&wire::RegionInfo {
            argsz: size_of::<wire::RegionInfo>() as u32,
            flags: region.flags(),
            index: request.index,
            cap_offset: 0,
            size: region.size,
            offset: 0,
        })
    }

    fn irq_info(&self, payload: &[u8], reply: &mut Reply) -> Result<(), Errno> {
        let request: wire::IrqInfo = whole(payload)?;
        fits::<wire::IrqInfo>(request.argsz)?;
        let index = InterruptIndex::from_wire(request.index)?;
        reply.put(&wire::IrqInfo {
            argsz: size_of::<wire::IrqInfo>() as u32,
            flags: VFIO_IRQ_INFO_EVENTFD,
            index: request.index,
            count: self.interrupts.count(index) as u32,
        })
    }

    fn set_irqs(&self, payload: &[u8], files: &mut Files) -> Result<(), Errno> {
        let (request, data) = wire::SetIrqs::read_from_prefix(payload).map_err(|_| Errno::INVAL)?;
        fits::<wire::SetIrqs>(request.argsz)?;
        self.interrupts.set(&request, data, files)
    }
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        self.interrupts.clear();
        self.dma.unmap_all(self.device);
        self.device.disconnected();
    }
}

fn device_info(payload: &[u8], reply: &mut Reply) -> Result<(), Errno> {
    let request: wire::DeviceInfo = whole(payload)?;
    fits::<wire::DeviceInfo>(request.argsz)?;
    reply.put(&wire::DeviceInfo {
        argsz: size_of::<wire::DeviceInfo>() as u32,
        flags: VFIO_DEVICE_FLAGS_PCI | VFIO_DEVICE_FLAGS_RESET,
        num_regions: RegionIndex::ALL.len() as u32,
        num_irqs: InterruptIndex::ALL.len() as u32,
    })
}

/// A payload that is this structure and nothing else.
fn whole<T: FromBytes + KnownLayout + Immutable>(payload: &[u8]) -> Result<T, Errno> {
    T::read_from_bytes(payload).map_err(|_| Errno::INVAL)
}

fn nothing(payload: &[u8]) -> Result<(), Errno> {
    payload.is_empty().then_some(()).ok_or(Errno::INVAL)
}

/// Whether `argsz`, the room that the sender speaks of, holds the structure.
fn fits<T>(argsz: u32) -> Result<(), Errno> {
    (argsz as usize >= size_of::<T>())
        .then_some(())
        .ok_or(Errno::INVAL)
}
