//! A device, and what it says of itself.

use cudarc::driver::sys::CUdevice_attribute as Attribute;
use vgpu_engine::{DevicePtr, Error, ErrorKind, Properties, Result};

use crate::context::Context;

/// One GPU, with its context.
#[derive(Debug)]
pub struct Device {
    pub(crate) context: Context,
    pub(crate) properties: Properties,
    pub(crate) granularity: u64,
    version: i32,
    pub(crate) remarks: Vec<String>,
}

/// Addresses of the device that were reserved.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reserved {
    pub(crate) first: DevicePtr,
    pub(crate) size: u64,
}

impl Device {
    /// What the device says of itself.
    pub(crate) fn describe(context: Context) -> Result<Self> {
        let get = |attribute| context.attribute(attribute);
        let total_memory = context.total_memory()?;
        let properties = Properties {
            name: context.name()?,
            compute_capability: (
                get(Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)?,
                get(Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR)?,
            ),
            total_memory,
            max_threads_per_block: get(Attribute::CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK)?,
            max_block: [
                get(Attribute::CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X)?,
                get(Attribute::CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Y)?,
                get(Attribute::CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Z)?,
            ],
            max_grid: [
                get(Attribute::CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X)?,
                get(Attribute::CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Y)?,
                get(Attribute::CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Z)?,
            ],
            shared_memory_per_block: get(
                Attribute::CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK,
            )?,
            shared_memory_per_block_optin: get(
                Attribute::CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN,
            )?,
            constant_memory: get(Attribute::CU_DEVICE_ATTRIBUTE_TOTAL_CONSTANT_MEMORY)?,
            warp_size: get(Attribute::CU_DEVICE_ATTRIBUTE_WARP_SIZE)?,
            multiprocessors: get(Attribute::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)?,
        };
        let mut remarks = Vec::new();
        if get(Attribute::CU_DEVICE_ATTRIBUTE_PAGEABLE_MEMORY_ACCESS)? != 0 {
            remarks.push(
                "kernels reach all memory of their worker on this machine (HMM or ATS); \
                 load nvidia-uvm with uvm_disable_hmm=1 where that matters"
                    .into(),
            );
        }
        let granularity = context.granularity()?;
        if !granularity.is_power_of_two() || granularity > 1 << 30 {
            let text = format!("the driver maps memory in pieces of {granularity} bytes");
            return Err(Error::new(ErrorKind::NotSupported, text));
        }
        Ok(Self {
            version: context.version()?,
            context,
            properties,
            granularity,
            remarks,
        })
    }

    /// What the device is.
    #[must_use]
    pub fn properties(&self) -> &Properties {
        &self.properties
    }

    /// CUDA's version that the driver has: major and minor.
    #[must_use]
    pub fn version(&self) -> (i32, i32) {
        (self.version / 1000, self.version % 1000 / 10)
    }

    /// What who runs the device should know.
    #[must_use]
    pub fn remarks(&self) -> &[String] {
        &self.remarks
    }
}
