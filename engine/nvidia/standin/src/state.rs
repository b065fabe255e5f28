//! What the stand-in remembers.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use vgpu_device_memory::Memory;
use vgpu_simt::{Cause, Executor, Kernel, Launch, LaunchError, Program};

pub(crate) const INVALID: u32 = 1;
pub(crate) const NO_MEMORY: u32 = 2;
pub(crate) const NOT_INITIALIZED: u32 = 3;
pub(crate) const BAD_HANDLE: u32 = 400;
pub(crate) const NOT_FOUND: u32 = 500;

/// What memory and addresses are mapped in.
pub(crate) const GRANULARITY: u64 = 2 << 20;
/// Memory of the device.
pub(crate) const CAPACITY: u64 = 256 << 20;
/// Where addresses are that nobody asked for.
const ELSEWHERE: u64 = 0x7000_0000_0000;

/// Room for the variables of modules.
const VARIABLES: u64 = 64 << 20;

/// How a call went, with its `CUresult` where it failed.
pub(crate) type Done<T = ()> = Result<T, u32>;

/// Physical memory at addresses.
#[derive(Debug)]
struct Mapped {
    size: u64,
    handle: u64,
    accessible: bool,
}

/// A module that is loaded.
#[derive(Debug)]
struct Loaded {
    program: Arc<Program>,
    names: Vec<CString>,
}

#[derive(Debug)]
pub(crate) struct State {
    /// Addresses that are reserved. What lies there is one allocation, zeros
    /// until it is written; the variables of modules lie behind it.
    reserved: BTreeMap<u64, (u64, Memory)>,
    elsewhere: u64,
    handles: BTreeMap<u64, u64>,
    mapped: BTreeMap<u64, Mapped>,
    modules: BTreeMap<u64, Loaded>,
    last: u64,
    executor: Executor,
    /// Once a kernel failed, all fails.
    fault: Option<u32>,
}

static STATE: Mutex<Option<State>> = Mutex::new(None);

/// The state, once `cuInit` made it.
pub(crate) fn with<T>(call: impl FnOnce(&mut State) -> Done<T>) -> Done<T> {
    let mut state = lock();
    let state = state.as_mut().ok_or(NOT_INITIALIZED)?;
    match state.fault {
        Some(fault) => Err(fault),
        None => call(state),
    }
}

fn lock() -> MutexGuard<'static, Option<State>> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn init() {
    lock().get_or_insert_with(|| State {
        reserved: BTreeMap::new(),
        elsewhere: ELSEWHERE,
        handles: BTreeMap::new(),
        mapped: BTreeMap::new(),
        modules: BTreeMap::new(),
        last: 0x1000,
        executor: Executor::new(1, 1 << 24),
        fault: None,
    });
}

impl State {
    fn handle(&mut self) -> u64 {
        self.last += 0x10;
        self.last
    }

    pub(crate) fn used(&self) -> u64 {
        self.handles.values().sum()
    }

    /// Reservations, handles of memory, mappings and modules that are held.
    pub(crate) fn held(&self) -> [usize; 4] {
        [
            self.reserved.len(),
            self.handles.len(),
            self.mapped.len(),
            self.modules.len(),
        ]
    }

    pub(crate) fn reserve(&mut self, size: u64, alignment: u64, hint: u64) -> Done<u64> {
        let whole = |n: u64| n > 0 && n.is_multiple_of(GRANULARITY);
        if !whole(size) || !whole(alignment) || hint != 0 && !whole(hint) {
            return Err(INVALID);
        }
        let ignored = std::env::var_os("STANDIN_HINT").is_some_and(|how| how == "ignored");
        let taken = |at: u64| {
            let mut others = self.reserved.iter();
            others.any(|(&start, (length, _))| at < start + length && start < at + size)
        };
        let address = match hint != 0 && !ignored && !taken(hint) {
            true => hint,
            false => self.elsewhere,
        };
        let mut memory = Memory::new(address, u64::MAX, size + VARIABLES);
        if memory.alloc(size) != Ok(address) {
            return Err(NO_MEMORY);
        }
        if address == self.elsewhere {
            self.elsewhere += size;
        }
        self.reserved.insert(address, (size, memory));
        Ok(address)
    }

    pub(crate) fn release(&mut self, address: u64, size: u64) -> Done {
        let end = address + size;
        let known = self
            .reserved
            .get(&address)
            .is_some_and(|(length, _)| *length == size);
        if !known || self.mapped.range(address..end).next().is_some() {
            return Err(INVALID);
        }
        self.reserved.remove(&address);
        Ok(())
    }

    pub(crate) fn create(&mut self, size: u64) -> Done<u64> {
        if size == 0 || !size.is_multiple_of(GRANULARITY) {
            return Err(INVALID);
        }
        if self.used() + size > CAPACITY {
            return Err(NO_MEMORY);
        }
        let handle = self.handle();
        self.handles.insert(handle, size);
        Ok(handle)
    }

    pub(crate) fn release_memory(&mut self, handle: u64) -> Done {
        self.handles.remove(&handle).map(|_| ()).ok_or(INVALID)
    }

    pub(crate) fn map(&mut self, address: u64, size: u64, handle: u64) -> Done {
        let inside = self.reservation(address, size).is_some();
        let before = self.mapped.range(..address + size).next_back();
        let taken = before.is_some_and(|(start, mapped)| start + mapped.size > address);
        let whole = address.is_multiple_of(GRANULARITY);
        if !inside || taken || !whole || self.handles.get(&handle) != Some(&size) {
            return Err(INVALID);
        }
        let mapped = Mapped {
            size,
            handle,
            accessible: false,
        };
        self.mapped.insert(address, mapped);
        Ok(())
    }

    pub(crate) fn set_access(&mut self, address: u64, size: u64) -> Done {
        let mapped = self
            .mapped
            .get_mut(&address)
            .filter(|mapped| mapped.size == size);
        mapped.ok_or(INVALID)?.accessible = true;
        Ok(())
    }

    pub(crate) fn unmap(&mut self, address: u64, size: u64) -> Done {
        match self.mapped.get(&address) {
            Some(mapped) if mapped.size == size && self.handles.contains_key(&mapped.handle) => {
                self.mapped.remove(&address);
                Ok(())
            }
            _ => Err(INVALID),
        }
    }

    fn reservation(&self, address: u64, size: u64) -> Option<u64> {
        let (start, (length, _)) = self.reserved.range(..=address).next_back()?;
        (address + size <= start + length).then_some(*start)
    }

    /// The memory of the program: that of the last reservation.
    fn device(&mut self) -> Done<&mut Memory> {
        let last = self.reserved.values_mut().next_back();
        last.map(|(_, memory)| memory).ok_or(INVALID)
    }

    /// The memory that an access is to: it may cross mappings that lie side by
    /// side.
    fn memory(&mut self, address: u64, size: u64) -> Done<&mut Memory> {
        let Some(start) = self.reservation(address, size) else {
            // A variable.
            return self.device();
        };
        let mut at = address;
        while at < address + size {
            let below = self.mapped.range(..=at).next_back();
            let (start, mapped) = below.ok_or(INVALID)?;
            if at >= start + mapped.size || !mapped.accessible {
                return Err(INVALID);
            }
            at = start + mapped.size;
        }
        let (_, memory) = self.reserved.get_mut(&start).ok_or(INVALID)?;
        Ok(memory)
    }

    pub(crate) fn write(&mut self, to: u64, from: &[u8]) -> Done {
        let memory = self.memory(to, from.len() as u64)?;
        memory.write(to, from).map_err(|_| INVALID)
    }

    pub(crate) fn read(&mut self, from: u64, to: &mut [u8]) -> Done {
        let memory = self.memory(from, to.len() as u64)?;
        memory.read(from, to).map_err(|_| INVALID)
    }

    /// As with the driver, what overlaps comes out wrong.
    pub(crate) fn copy(&mut self, to: u64, from: u64, size: u64) -> Done {
        let mut piece = [0; 64];
        for at in (0..size).step_by(piece.len()) {
            let piece = &mut piece[..64.min(size - at) as usize];
            self.read(from + at, piece)?;
            self.write(to + at, piece)?;
        }
        Ok(())
    }

    pub(crate) fn fill(&mut self, to: u64, pattern: &[u8], count: usize) -> Done {
        if !to.is_multiple_of(pattern.len() as u64) {
            return Err(INVALID);
        }
        self.write(to, &pattern.repeat(count))
    }

    pub(crate) fn load(&mut self, text: &str) -> Result<u64, (u32, String)> {
        let module = vgpu_ptx::parse(text).map_err(|error| (218, error.to_string()))?;
        let memory = self.device().map_err(|code| (code, String::new()))?;
        let program = Program::load(&module, memory);
        let program = program.map_err(|error| (218, error.to_string()))?;
        let names = program.kernels().iter();
        let names = names.map(|kernel| CString::new(kernel.name.as_str()).unwrap_or_default());
        let loaded = Loaded {
            names: names.collect(),
            program: Arc::new(program),
        };
        // A module's handle leaves room for those of its functions.
        self.last = (self.last / 0x1_0000 + 1) * 0x1_0000;
        self.modules.insert(self.last, loaded);
        Ok(self.last)
    }

    pub(crate) fn unload(&mut self, module: u64) -> Done {
        let loaded = self.modules.remove(&module).ok_or(BAD_HANDLE)?;
        loaded.program.unload(self.device()?);
        Ok(())
    }

    pub(crate) fn functions(&self, module: u64) -> Done<Vec<u64>> {
        let loaded = self.modules.get(&module).ok_or(BAD_HANDLE)?;
        Ok((1..=loaded.names.len() as u64)
            .map(|n| module + n)
            .collect())
    }

    fn function(&self, function: u64) -> Done<(&Loaded, usize)> {
        let (module, loaded) = self
            .modules
            .range(..function)
            .next_back()
            .ok_or(BAD_HANDLE)?;
        let index = usize::try_from(function - module - 1).map_err(|_| BAD_HANDLE)?;
        (index < loaded.names.len())
            .then_some((loaded, index))
            .ok_or(BAD_HANDLE)
    }

    pub(crate) fn kernel(&self, function: u64) -> Done<&Kernel> {
        let (loaded, index) = self.function(function)?;
        loaded.program.kernels().get(index).ok_or(BAD_HANDLE)
    }

    /// Text that stays as long as the module.
    pub(crate) fn name(&self, function: u64) -> Done<*const std::ffi::c_char> {
        let (loaded, index) = self.function(function)?;
        Ok(loaded.names.get(index).ok_or(BAD_HANDLE)?.as_ptr())
    }

    pub(crate) fn global(&self, module: u64, name: &str) -> Done<(u64, u64)> {
        let loaded = self.modules.get(&module).ok_or(BAD_HANDLE)?;
        let global = loaded
            .program
            .globals()
            .iter()
            .find(|(of, _)| of == name)
            .ok_or(NOT_FOUND)?
            .1;
        Ok((global.address, global.size))
    }

    pub(crate) fn launch(
        &mut self,
        function: u64,
        blocks: [u32; 3],
        threads: [u32; 3],
        shared: u32,
        parameters: &[u8],
    ) -> Done {
        let (loaded, index) = self.function(function)?;
        let program = Arc::clone(&loaded.program);
        let kernel = program.kernels().get(index).ok_or(BAD_HANDLE)?;
        if parameters.len() != kernel.parameter_size as usize {
            return Err(INVALID);
        }
        let launch = Launch {
            kernel: &kernel.name,
            blocks,
            threads,
            shared,
            parameters,
        };
        let view = self.device()?.view();
        let failed = match self.executor.launch(&program, &view, &launch) {
            Ok(_) => return Ok(()),
            Err(LaunchError::Fault(fault)) => fault.cause,
            Err(_) => return Err(INVALID),
        };
        // Seen at the next call.
        self.fault = Some(match failed {
            Cause::Global(_) => 700,
            Cause::Stopped(_) => 702,
            Cause::Trap => 719,
            _ => 719,
        });
        Ok(())
    }
}
