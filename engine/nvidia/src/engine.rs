//! The engine: tables of what a session owns, around the driver's calls.

use std::collections::BTreeMap;

use cudarc::driver::sys::CUfunction_attribute as Attribute;
use vgpu_engine::{
    Counters, DevicePtr, Engine, Error, ErrorKind, FunctionInfo, GlobalInfo, Launch, MemoryId,
    MemoryInfo, ModuleId, ModuleInfo, Pattern, Properties, Result,
};
use vgpu_ptx::{Linkage, Space};

use crate::answer::invalid;
use crate::context::{Context, Function, Module, Physical, Shape};
use crate::device::{Device, Reserved};
use crate::heap::{Heap, Span};
use crate::image::Image;

/// An engine on an NVIDIA GPU.
#[derive(Debug)]
pub struct NvidiaEngine {
    device: Device,
    reserved: Reserved,
    heap: Heap<Context>,
    modules: BTreeMap<ModuleId, Loaded>,
    /// Variables of all modules, and mappings: their addresses and sizes.
    globals: BTreeMap<u64, u64>,
    next_module: u64,
    /// Addresses for mappings: the first, and the one behind the last.
    mappable: (DevicePtr, DevicePtr),
    memories: BTreeMap<MemoryId, Memory>,
    next_memory: u64,
    counters: Counters,
}

/// Memory without an address of its own, and where it is mapped.
#[derive(Debug)]
struct Memory {
    physical: Physical,
    address: Option<DevicePtr>,
}

fn no_memory(id: MemoryId) -> Error {
    invalid(format!("no memory {id:?} that can be used so"))
}

/// A module, and what of it may be used.
#[derive(Debug)]
struct Loaded {
    module: Module,
    kernels: BTreeMap<String, Kernel>,
    globals: Vec<GlobalInfo>,
}

#[derive(Debug, Clone, Copy)]
struct Kernel {
    function: Function,
    parameter_size: u32,
    static_shared: u32,
    max_threads: u32,
    /// Shared memory that launches may add.
    allowed_shared: u32,
}

fn count(counter: &mut u64, by: u64) {
    *counter = counter.saturating_add(by);
}

fn no_module(id: ModuleId) -> Error {
    Error::new(ErrorKind::InvalidHandle, format!("no module {id:?}"))
}

impl NvidiaEngine {
    /// With allocations at addresses that are reserved, and mappings at such as are tried.
    pub(crate) fn new(
        device: Device,
        reserved: Reserved,
        mappable: (DevicePtr, DevicePtr),
    ) -> Self {
        let last = reserved.first.saturating_add(reserved.size);
        Self {
            heap: Heap::new(reserved.first, last, device.granularity),
            mappable,
            device,
            reserved,
            modules: BTreeMap::new(),
            globals: BTreeMap::new(),
            next_module: 1,
            memories: BTreeMap::new(),
            next_memory: 1,
            counters: Counters::default(),
        }
    }

    /// What who runs the device should know.
    #[must_use]
    pub fn remarks(&self) -> &[String] {
        self.device.remarks()
    }

    /// Ends the session, and gives its device back. A process that ends needs
    /// not do that: its driver does.
    #[must_use]
    pub fn close(mut self) -> Device {
        let context = &self.device.context;
        // After a fault the driver refuses all of this.
        for loaded in self.modules.values() {
            let _ = context.unload(&loaded.module);
        }
        for memory in self.memories.values() {
            if let Some(address) = memory.address {
                let _ = context.displace(&memory.physical, address);
                let _ = context.release(address, memory.physical.size());
            }
            let _ = context.destroy(&memory.physical);
        }
        self.heap.clear(context);
        let _ = context.release(self.reserved.first, self.reserved.size);
        self.device
    }

    fn span(&self, start: DevicePtr, length: u64) -> Result<Span> {
        self.heap.span(&self.globals, start, length)
    }

    fn kernel(
        context: &Context,
        function: Function,
        name: String,
    ) -> Result<(FunctionInfo, Kernel)> {
        let parameters = context.parameters(function)?;
        let ends = parameters
            .iter()
            .map(|place| place.offset.saturating_add(place.size));
        let parameter_size = ends.max().unwrap_or(0);
        let get = |attribute| context.function_attribute(function, attribute);
        let info = FunctionInfo {
            name,
            parameters,
            parameter_size,
            shared_size: get(Attribute::CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES)?,
            local_size: get(Attribute::CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES)?,
            registers: get(Attribute::CU_FUNC_ATTRIBUTE_NUM_REGS)?,
            max_threads: get(Attribute::CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK)?,
            // The driver does not tell; it refuses at a launch.
            required_threads: None,
            ptx_version: get(Attribute::CU_FUNC_ATTRIBUTE_PTX_VERSION)?,
        };
        let kernel = Kernel {
            function,
            parameter_size,
            static_shared: info.shared_size,
            max_threads: info.max_threads,
            allowed_shared: 0,
        };
        Ok((info, kernel))
    }

    /// What a module has: the driver knows the kernels, and the variables by
    /// their names, which are in the PTX. A cubin's are not listed.
    fn describe(
        context: &Context,
        id: ModuleId,
        module: &Module,
        image: &Image<'_>,
    ) -> Result<(ModuleInfo, BTreeMap<String, Kernel>)> {
        let mut kernels = BTreeMap::new();
        let mut functions = Vec::new();
        for (name, function) in context.functions(module)? {
            let (info, kernel) = Self::kernel(context, function, name)?;
            kernels.insert(info.name.clone(), kernel);
            functions.push(info);
        }
        let mut globals = Vec::new();
        // A text that this parser does not know may still be one of the driver's.
        let parsed = image.ptx().and_then(|text| vgpu_ptx::parse(text).ok());
        for name in parsed.iter().flat_map(variables) {
            // The compiler drops what no kernel uses.
            if let Ok((address, size)) = context.global(module, name) {
                let name = name.to_owned();
                globals.push(GlobalInfo {
                    name,
                    address,
                    size,
                });
            }
        }
        let info = ModuleInfo {
            id,
            functions,
            globals,
        };
        Ok((info, kernels))
    }
}

/// Names of the variables that a text gives the device.
fn variables<'a>(module: &vgpu_ptx::Module<'a>) -> impl Iterator<Item = &'a str> {
    let device = |variable: &&vgpu_ptx::Variable<'a>| {
        matches!(variable.space, Space::Global | Space::Constant)
            && variable.linkage != Linkage::Extern
    };
    module
        .variables
        .iter()
        .filter(device)
        .map(|variable| variable.name)
}

impl Engine for NvidiaEngine {
    fn properties(&self) -> &Properties {
        self.device.properties()
    }

    fn counters(&self) -> Counters {
        self.counters
    }

    fn memory_info(&self) -> MemoryInfo {
        let memory = self.device.context.memory();
        let (free, total) = memory.unwrap_or((0, self.properties().total_memory));
        MemoryInfo { free, total }
    }

    fn alloc(&mut self, size: u64) -> Result<DevicePtr> {
        let address = self.heap.alloc(&self.device.context, size)?;
        count(&mut self.counters.allocations, 1);
        Ok(address)
    }

    fn free(&mut self, address: DevicePtr) -> Result<()> {
        self.heap.free(&self.device.context, address)?;
        count(&mut self.counters.frees, 1);
        Ok(())
    }

    fn allocation(&self, address: DevicePtr) -> Result<(DevicePtr, u64)> {
        self.heap
            .find(&self.globals, address)
            .ok_or_else(|| invalid(format!("no allocation holds {address:#x}")))
    }

    fn memory_create(&mut self, size: u64) -> Result<MemoryId> {
        let granularity = self.device.granularity;
        if size == 0 || !size.is_multiple_of(granularity) {
            let text = format!("{size} bytes, which are no multiple of {granularity}");
            return Err(invalid(text));
        }
        let physical = self.device.context.create(size)?;
        let id = MemoryId(self.next_memory);
        self.next_memory = self.next_memory.saturating_add(1);
        let address = None;
        self.memories.insert(id, Memory { physical, address });
        Ok(id)
    }

    fn memory_destroy(&mut self, memory: MemoryId) -> Result<()> {
        let unmapped = |found: &&Memory| found.address.is_none();
        let found = self.memories.get(&memory).filter(unmapped);
        let found = found.ok_or_else(|| no_memory(memory))?;
        self.device.context.destroy(&found.physical)?;
        self.memories.remove(&memory);
        Ok(())
    }

    fn memory_map(&mut self, memory: MemoryId, address: DevicePtr) -> Result<()> {
        let (first, last) = self.mappable;
        let unmapped = |found: &&mut Memory| found.address.is_none();
        let found = self.memories.get_mut(&memory).filter(unmapped);
        let found = found.ok_or_else(|| no_memory(memory))?;
        let size = found.physical.size();
        let end = address.checked_add(size).filter(|end| *end <= last);
        let wrong = || invalid(format!("no room for {size} bytes at {address:#x}"));
        let end = end.filter(|_| address >= first).ok_or_else(wrong)?;
        let below = self.globals.range(..end).next_back();
        if below.is_some_and(|(start, size)| start.saturating_add(*size) > address) {
            return Err(wrong());
        }
        let Device {
            context,
            granularity,
            ..
        } = &self.device;
        // The driver may give others than it is asked for.
        let got = context.reserve(size, *granularity, address)?;
        let placed = match got == address {
            true => context.place(&found.physical, address),
            false => Err(wrong()),
        };
        if placed.is_err() {
            let _ = context.release(got, size);
        }
        placed?;
        found.address = Some(address);
        self.globals.insert(address, size);
        Ok(())
    }

    fn memory_unmap(&mut self, address: DevicePtr) -> Result<()> {
        let mut memories = self.memories.values_mut();
        let found = memories.find(|memory| memory.address == Some(address));
        let found = found.ok_or_else(|| invalid(format!("no mapping at {address:#x}")))?;
        let context = &self.device.context;
        context.displace(&found.physical, address)?;
        found.address = None;
        self.globals.remove(&address);
        context.release(address, found.physical.size())
    }

    fn write(&mut self, to: DevicePtr, from: &[u8]) -> Result<()> {
        let length = from.len() as u64;
        let to = self.span(to, length)?;
        if length > 0 {
            self.device.context.write(to, from)?;
        }
        count(&mut self.counters.bytes_in, length);
        Ok(())
    }

    fn read(&mut self, from: DevicePtr, to: &mut [u8]) -> Result<()> {
        let length = to.len() as u64;
        let from = self.span(from, length)?;
        if length > 0 {
            self.device.context.read(from, to)?;
        }
        count(&mut self.counters.bytes_out, length);
        Ok(())
    }

    fn copy(&mut self, to: DevicePtr, from: DevicePtr, length: u64) -> Result<()> {
        let (to, from) = (self.span(to, length)?, self.span(from, length)?);
        let context = &self.device.context;
        if length > 0 && to.overlaps(from) {
            // The driver's copy is undefined for these: by way of other memory.
            let between = self.heap.alloc(context, length)?;
            let copied = self.span(between, length).and_then(|between| {
                context.copy(between, from)?;
                context.copy(to, between)?;
                context.synchronize()
            });
            let freed = self.heap.free(context, between);
            copied.and(freed)?;
        } else if length > 0 {
            context.copy(to, from)?;
            context.synchronize()?;
        }
        count(&mut self.counters.bytes_inside, length);
        Ok(())
    }

    fn fill(&mut self, to: DevicePtr, pattern: Pattern, times: u64) -> Result<()> {
        if to.checked_rem(pattern.size()) != Some(0) {
            return Err(invalid(format!(
                "{to:#x} is no multiple of {}",
                pattern.size()
            )));
        }
        let length = times.checked_mul(pattern.size());
        let length = length.ok_or_else(|| invalid(format!("{times} times {pattern:?}")))?;
        let to = self.span(to, length)?;
        if length > 0 {
            self.device.context.fill(to, pattern)?;
            self.device.context.synchronize()?;
        }
        count(&mut self.counters.bytes_inside, length);
        Ok(())
    }

    fn module_load(&mut self, image: &[u8]) -> Result<ModuleInfo> {
        let image = Image::check(image)?;
        let context = &self.device.context;
        let module = context.load(&image)?;
        let id = ModuleId(self.next_module);
        let (info, kernels) = match Self::describe(context, id, &module, &image) {
            Ok(described) => described,
            Err(error) => {
                let _ = context.unload(&module);
                return Err(error);
            }
        };
        self.next_module = self.next_module.saturating_add(1);
        let globals = info.globals.clone();
        self.globals
            .extend(globals.iter().map(|global| (global.address, global.size)));
        let loaded = Loaded {
            module,
            kernels,
            globals,
        };
        self.modules.insert(id, loaded);
        count(&mut self.counters.modules, 1);
        Ok(info)
    }

    fn module_unload(&mut self, module: ModuleId) -> Result<()> {
        let loaded = self
            .modules
            .remove(&module)
            .ok_or_else(|| no_module(module))?;
        for global in &loaded.globals {
            self.globals.remove(&global.address);
        }
        self.device.context.unload(&loaded.module)
    }

    fn launch(&mut self, launch: &Launch<'_>) -> Result<()> {
        let context = &self.device.context;
        let loaded = self.modules.get_mut(&launch.module);
        let loaded = loaded.ok_or_else(|| no_module(launch.module))?;
        let kernel = loaded.kernels.get_mut(launch.function).ok_or_else(|| {
            let text = format!("no kernel `{}`", launch.function);
            Error::new(ErrorKind::NotFound, text)
        })?;
        let most = u64::from(kernel.max_threads);
        let threads = launch
            .block
            .iter()
            .fold(1, |all: u64, n| all.saturating_mul(u64::from(*n)));
        if launch.grid.contains(&0) || threads == 0 || threads > most {
            let text = format!("a grid of {:?} blocks of {:?}", launch.grid, launch.block);
            return Err(invalid(text));
        }
        let needed = usize::try_from(kernel.parameter_size).unwrap_or(usize::MAX);
        let parameters = launch.parameters.get(..needed).ok_or_else(|| {
            let given = launch.parameters.len();
            invalid(format!("{given} bytes of parameters, {needed} needed"))
        })?;
        let properties = &self.device.properties;
        let shared = kernel.static_shared.saturating_add(launch.shared);
        if shared
            > properties
                .shared_memory_per_block_optin
                .max(properties.shared_memory_per_block)
        {
            return Err(invalid(format!(
                "{shared} bytes of shared memory for a block"
            )));
        }
        if shared > properties.shared_memory_per_block && launch.shared > kernel.allowed_shared {
            context.allow_shared(kernel.function, launch.shared)?;
            kernel.allowed_shared = launch.shared;
        }
        let shape = Shape {
            grid: launch.grid,
            block: launch.block,
            shared: launch.shared,
        };
        count(&mut self.counters.launches, 1);
        context.launch(kernel.function, shape, &mut parameters.to_vec())?;
        context.synchronize()
    }
}
