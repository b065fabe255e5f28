//! A vfio-user server whose device is the project's, but for a fault.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::thread;

use anyhow::Result;
use vfio_bindings::bindings::vfio::{
    VFIO_PCI_BAR0_REGION_INDEX, VFIO_PCI_CONFIG_REGION_INDEX, VFIO_PCI_NUM_IRQS,
    VFIO_PCI_NUM_REGIONS, VFIO_REGION_INFO_FLAG_READ, VFIO_REGION_INFO_FLAG_WRITE,
    vfio_region_info,
};
use vfio_user::{DmaMapFlags, DmaUnmapFlags, IrqInfo, Server, ServerBackend, ServerRegion};
use vgpu_device::{Device, DeviceConfig};
use vgpu_pci::capability::PortType;

const CONFIG_SIZE: u64 = 4096;

/// What is wrong.
#[derive(Clone, Copy, Default)]
pub(crate) struct Mutation {
    /// Bytes of config space that always read so.
    pub(crate) config: &'static [(u64, u8)],
    pub(crate) no_bar0: bool,
    /// BAR0 reads all ones.
    pub(crate) silent_bar0: bool,
}

/// Serves one VM, in a thread that ends with it.
pub(crate) fn serve(socket: &Path, mutation: Mutation) -> Result<()> {
    let server = Server::new(socket, true, interrupts(), regions(mutation))?;
    thread::spawn(move || {
        let mut mutant = Mutant {
            device: device(),
            mutation,
        };
        // The end of the VM is an error of the connection.
        let _ = server.run(&mut mutant);
    });
    Ok(())
}

fn device() -> Device {
    Device::new(
        &DeviceConfig::default(),
        PortType::RootComplexIntegratedEndpoint,
    )
}

struct Mutant {
    device: Device,
    mutation: Mutation,
}

impl ServerBackend for Mutant {
    fn region_read(&mut self, region: u32, offset: u64, data: &mut [u8]) -> io::Result<()> {
        match region {
            VFIO_PCI_CONFIG_REGION_INDEX => {
                let at = u16::try_from(offset).map_err(io::Error::other)?;
                self.device.config_read(at, data);
                for (byte, at) in data.iter_mut().zip(offset..) {
                    let fixed = self.mutation.config.iter().find(|(fixed, _)| *fixed == at);
                    *byte = fixed.map_or(*byte, |(_, value)| *value);
                }
            }
            VFIO_PCI_BAR0_REGION_INDEX if self.mutation.silent_bar0 => data.fill(0xff),
            VFIO_PCI_BAR0_REGION_INDEX => {
                let value = self.device.bar0_read(offset, data.len());
                let value = value.unwrap_or(0).to_le_bytes();
                data.copy_from_slice(&value[..data.len()]);
            }
            _ => return Err(ErrorKind::InvalidInput.into()),
        }
        Ok(())
    }

    fn region_write(&mut self, region: u32, offset: u64, data: &[u8]) -> io::Result<()> {
        match region {
            VFIO_PCI_CONFIG_REGION_INDEX => {
                let at = u16::try_from(offset).map_err(io::Error::other)?;
                let _ = self.device.config_write(at, data);
            }
            VFIO_PCI_BAR0_REGION_INDEX => {
                let mut value = [0; 8];
                value[..data.len()].copy_from_slice(data);
                let value = u64::from_le_bytes(value);
                let _ = self.device.bar0_write(offset, data.len(), value);
            }
            _ => return Err(ErrorKind::InvalidInput.into()),
        }
        Ok(())
    }

    fn dma_map(
        &mut self,
        _: DmaMapFlags,
        _: u64,
        _: u64,
        _: u64,
        _: Option<File>,
    ) -> io::Result<()> {
        Ok(())
    }

    fn dma_unmap(&mut self, _: DmaUnmapFlags, _: u64, _: u64) -> io::Result<()> {
        Ok(())
    }

    fn reset(&mut self) -> io::Result<()> {
        self.device = device();
        Ok(())
    }

    fn set_irqs(&mut self, _: u32, _: u32, _: u32, _: u32, _: Vec<File>) -> io::Result<()> {
        Ok(())
    }
}

fn regions(mutation: Mutation) -> Vec<ServerRegion> {
    let region = |index| {
        let size = match index {
            VFIO_PCI_CONFIG_REGION_INDEX => CONFIG_SIZE,
            VFIO_PCI_BAR0_REGION_INDEX if !mutation.no_bar0 => device().bar0_size().into(),
            _ => 0,
        };
        let flags = match size {
            0 => 0,
            _ => VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE,
        };
        ServerRegion {
            region_info: vfio_region_info {
                argsz: size_of::<vfio_region_info>() as u32,
                flags,
                index,
                size,
                ..Default::default()
            },
            sparse_areas: Vec::new(),
            mmap_fd: None,
        }
    };
    (0..VFIO_PCI_NUM_REGIONS).map(region).collect()
}

fn interrupts() -> Vec<IrqInfo> {
    let none = |index| IrqInfo {
        index,
        flags: 0,
        count: 0,
    };
    (0..VFIO_PCI_NUM_IRQS).map(none).collect()
}
