//! A device is opened and tried, before anything of a program's is read; and from a device to an engine on it.

use vgpu_engine::{DevicePtr, Engine, Error, ErrorKind, Launch, Result, halves};

use crate::context::Context;
use crate::device::{Device, Reserved};
use crate::driver::Driver;
use crate::engine::NvidiaEngine;
use crate::open::{Config, OpenError};

/// Addresses that a session takes, at least.
const ADDRESSES_MIN: u64 = 1 << 30;
/// Places that are tried for them.
const PLACES: u64 = 16;

impl Device {
    /// Loads the driver's library, opens the device, and lets it do each kind of
    /// work once: the driver loads its compiler and opens its nodes only then,
    /// and a sandbox keeps it from that.
    ///
    /// # Errors
    ///
    /// There is no driver, it is older than CUDA 12.4, or the device does not work.
    pub fn open(config: &Config) -> std::result::Result<Self, OpenError> {
        config.check()?;
        let driver = Driver::load(&config.library)?;
        let failed = |what| {
            move |error: Error| OpenError::Driver {
                path: config.library.clone(),
                what,
                cause: error.to_string(),
            }
        };
        let context = Context::new(driver, config.device).map_err(failed("no device"))?;
        let device = Self::describe(context).map_err(failed("the device has no description"))?;
        device.tried().map_err(failed("the device does not work"))
    }

    /// An engine with a program's memory between two addresses, the second of
    /// which is not one of them. Where the driver gives none there, it gives
    /// others, and a [remark](Self::remarks) says so.
    ///
    /// # Errors
    ///
    /// The driver has no addresses.
    pub fn engine(mut self, addresses: (DevicePtr, DevicePtr)) -> Result<NvidiaEngine> {
        let [(first, last), mappable] = halves(addresses);
        let wanted = self.properties.total_memory.saturating_mul(2);
        let wanted = wanted
            .max(ADDRESSES_MIN)
            .min(last.saturating_sub(first) / 2);
        let size = wanted & !self.granularity.wrapping_sub(1);
        let room = last.saturating_sub(first).saturating_sub(size);
        let step = room.checked_div(PLACES).unwrap_or(0);
        for place in 0..PLACES {
            let hint = first.saturating_add(step.saturating_mul(place));
            let Some(hint) = hint.checked_next_multiple_of(self.granularity) else {
                break;
            };
            let got = self.context.reserve(size, self.granularity, hint)?;
            if got >= first && got.checked_add(size).is_some_and(|end| end <= last) {
                let reserved = Reserved { first: got, size };
                return Ok(NvidiaEngine::new(self, reserved, mappable));
            }
            self.context.release(got, size)?;
        }
        self.remarks.push(format!(
            "the driver gives no addresses from {first:#x} to {last:#x}; a device pointer may \
             equal a pointer of the program's own"
        ));
        self.anywhere(size, mappable)
    }

    fn anywhere(self, size: u64, mappable: (DevicePtr, DevicePtr)) -> Result<NvidiaEngine> {
        let first = self.context.reserve(size, self.granularity, 0)?;
        Ok(NvidiaEngine::new(self, Reserved { first, size }, mappable))
    }

    /// Does each kind of work once, and gives the device back.
    fn tried(self) -> Result<Self> {
        const TRIAL: &[u8] = b".version 6.0\n.target sm_50\n.address_size 64\n\
            .visible .entry trial(.param .u64 to) {\n\
            .reg .u64 %rd<2>;\n.reg .u32 %r<2>;\n\
            ld.param.u64 %rd1, [to];\nmov.u32 %r1, 42;\nst.global.u32 [%rd1], %r1;\nret;\n}\n";
        let mut engine = self.anywhere(ADDRESSES_MIN, (0, 0))?;
        let memory = engine.alloc(4096)?;
        let other = memory.saturating_add(2048);
        engine.fill(memory, vgpu_engine::Pattern::Byte(1), 4096)?;
        engine.write(memory, &[7; 2048])?;
        engine.copy(other, memory, 2048)?;
        let module = engine.module_load(TRIAL)?;
        engine.launch(&Launch {
            module: module.id,
            function: "trial",
            grid: [1; 3],
            block: [1; 3],
            shared: 0,
            parameters: &memory.to_ne_bytes(),
        })?;
        let (mut written, mut copied) = ([0; 4], [0; 4]);
        engine.read(memory, &mut written)?;
        engine.read(other, &mut copied)?;
        if (u32::from_ne_bytes(written), copied) != (42, [7; 4]) {
            let text = format!("a kernel wrote {written:?}, a copy {copied:?}");
            return Err(Error::new(ErrorKind::LaunchFailed, text));
        }
        engine.module_unload(module.id)?;
        engine.free(memory)?;
        Ok(engine.close())
    }
}
