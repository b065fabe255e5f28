//! What executes a CUDA program's work.
//!
//! An [`Engine`] has one device's memory, loads modules, and runs kernels. It
//! knows no wire, no ring, and no process: a worker owns one, decodes what its
//! client asks for, and hands typed arguments on. Each call does its work
//! before it returns, so that streams, events and graphs are the worker's own
//! affair: it calls in the order that they demand.
//!
//! All arguments may come from a hostile client. An engine answers with an
//! [`Error`], and never panics or reaches outside its own allocations.
#![forbid(unsafe_code)]

mod error;
mod module;
mod properties;

pub use error::{Error, ErrorKind, Result};
pub use module::{
    FunctionInfo, GlobalInfo, Launch, LinkId, LinkInput, ModuleId, ModuleInfo, ParameterInfo,
};
pub use properties::Properties;

/// An address in device memory, as the program sees it.
pub type DevicePtr = u64;

/// Device memory, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryInfo {
    /// What is left.
    pub free: u64,
    /// What there is.
    pub total: u64,
}

/// Memory of one engine that has no address of its own, but where it is mapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MemoryId(pub u64);

/// Addresses that an engine has, the first and the one behind the last, in two parts: for
/// [`Engine::alloc`], which chooses, and for [`Engine::memory_map`], whose caller does.
#[must_use]
pub fn halves((first, last): (DevicePtr, DevicePtr)) -> [(DevicePtr, DevicePtr); 2] {
    /// What memory is mapped in multiples of, on every device so far.
    const GRANULE: u64 = 2 << 20;
    let half = last.saturating_sub(first) / 2;
    let middle = first.saturating_add(half) / GRANULE * GRANULE;
    // Too few to be divided are for allocations.
    let middle = if middle > first { middle } else { last };
    [(first, middle), (middle, last)]
}

/// A value that [`Engine::fill`] repeats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pattern {
    /// `cuMemsetD8`.
    Byte(u8),
    /// `cuMemsetD16`; the address is a multiple of 2.
    Half(u16),
    /// `cuMemsetD32`; the address is a multiple of 4.
    Word(u32),
}

impl Pattern {
    /// Its length in bytes.
    #[must_use]
    pub fn size(self) -> u64 {
        match self {
            Self::Byte(_) => 1,
            Self::Half(_) => 2,
            Self::Word(_) => 4,
        }
    }
}

/// What an engine has done since it was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Modules loaded.
    pub modules: u64,
    /// Kernels launched.
    pub launches: u64,
    /// Instructions of single threads; 0 where an engine does not know.
    pub instructions: u64,
    /// Bytes copied from the host to the device.
    pub bytes_in: u64,
    /// Bytes copied from the device to the host.
    pub bytes_out: u64,
    /// Bytes copied and filled within the device.
    pub bytes_inside: u64,
    /// Allocations that were made.
    pub allocations: u64,
    /// Allocations that were given back.
    pub frees: u64,
}

/// What executes a CUDA program's work.
pub trait Engine: Send {
    /// What the device is.
    fn properties(&self) -> &Properties;

    /// What was done so far.
    fn counters(&self) -> Counters;

    /// Memory, free and in all.
    fn memory_info(&self) -> MemoryInfo;

    /// `size` bytes of device memory, at a multiple of 512.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidValue`] for 0 bytes, [`ErrorKind::OutOfMemory`].
    fn alloc(&mut self, size: u64) -> Result<DevicePtr>;

    /// Gives back what [`alloc`](Self::alloc) gave.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidValue`] where no allocation begins at `address`.
    fn free(&mut self, address: DevicePtr) -> Result<()>;

    /// Begin and length of the allocation that holds `address`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidValue`] where none does.
    fn allocation(&self, address: DevicePtr) -> Result<(DevicePtr, u64)>;

    /// `size` bytes, all 0, that have no address yet. What an engine does not implement of
    /// mappings, it does not support.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidValue`] for 0 bytes or such as are no multiple of what the device maps,
    /// [`ErrorKind::OutOfMemory`], [`ErrorKind::NotSupported`].
    fn memory_create(&mut self, size: u64) -> Result<MemoryId> {
        let _ = size;
        Err(no_mappings())
    }

    /// Ends memory that is mapped nowhere.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidValue`] where there is none, or it is mapped.
    fn memory_destroy(&mut self, memory: MemoryId) -> Result<()> {
        let _ = memory;
        Err(no_mappings())
    }

    /// Maps all of a memory, which is mapped nowhere, at an address of the second of [`halves`]. It
    /// is then as an allocation, which [`free`](Self::free) does not take.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidValue`] where there is no such memory, it is mapped, or something is at
    /// these addresses, or they are not for this.
    fn memory_map(&mut self, memory: MemoryId, address: DevicePtr) -> Result<()> {
        let _ = (memory, address);
        Err(no_mappings())
    }

    /// Ends a mapping; the memory keeps what is in it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidValue`] where no mapping begins at `address`.
    fn memory_unmap(&mut self, address: DevicePtr) -> Result<()> {
        let _ = address;
        Err(no_mappings())
    }

    /// Copies from the host into one allocation.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidValue`] where no allocation holds all of it.
    fn write(&mut self, to: DevicePtr, from: &[u8]) -> Result<()>;

    /// Copies from one allocation to the host.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidValue`] where no allocation holds all of it.
    fn read(&mut self, from: DevicePtr, to: &mut [u8]) -> Result<()>;

    /// Copies within the device; the ranges may overlap.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidValue`] where no allocation holds all of either.
    fn copy(&mut self, to: DevicePtr, from: DevicePtr, length: u64) -> Result<()>;

    /// Writes `pattern` `count` times.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidValue`] where no allocation holds all of it, or the
    /// address is not aligned.
    fn fill(&mut self, to: DevicePtr, pattern: Pattern, count: u64) -> Result<()>;

    /// Loads an image: PTX text, which may end in a 0 byte, or what else the
    /// engine takes.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidPtx`], [`ErrorKind::InvalidImage`],
    /// [`ErrorKind::NoBinaryForGpu`], [`ErrorKind::OutOfMemory`].
    fn module_load(&mut self, image: &[u8]) -> Result<ModuleInfo>;

    /// Drops a module, and the memory of its variables.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidHandle`].
    fn module_unload(&mut self, module: ModuleId) -> Result<()>;

    /// Begins a link of images. What an engine does not implement of links, it
    /// does not support.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotSupported`].
    fn link_create(&mut self) -> Result<LinkId> {
        Err(no_links())
    }

    /// Adds an image to a link; `name` is for messages.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidHandle`], and as [`module_load`](Self::module_load).
    fn link_add(&mut self, link: LinkId, input: LinkInput, name: &str, image: &[u8]) -> Result<()> {
        let _ = (link, input, name, image);
        Err(no_links())
    }

    /// An image of all that was added, for [`module_load`](Self::module_load).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidHandle`]; [`ErrorKind::InvalidPtx`] where the images
    /// do not fit each other, or there is none.
    fn link_complete(&mut self, link: LinkId) -> Result<Vec<u8>> {
        let _ = link;
        Err(no_links())
    }

    /// Drops a link.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidHandle`].
    fn link_destroy(&mut self, link: LinkId) -> Result<()> {
        let _ = link;
        Err(no_links())
    }

    /// Runs a kernel to its end.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidHandle`], [`ErrorKind::NotFound`], and
    /// [`ErrorKind::InvalidValue`] before anything ran; the kinds for which
    /// [`ErrorKind::is_sticky`] holds after.
    fn launch(&mut self, launch: &Launch<'_>) -> Result<()>;

    /// What the last launch printed by `printf`, and its assertions that failed;
    /// nothing where an engine prints by itself. It is a program's text: any bytes.
    fn take_printed(&mut self) -> Vec<u8> {
        Vec::new()
    }
}

fn no_mappings() -> Error {
    Error::new(ErrorKind::NotSupported, "this engine maps no memory")
}

fn no_links() -> Error {
    Error::new(ErrorKind::NotSupported, "this engine does not link")
}
