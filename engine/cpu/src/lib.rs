//! The engine that executes PTX on processors: handles, limits and answers of
//! CUDA, around the interpreter of [`vgpu_simt`], which knows none of them.
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::unwrap_used
    )
)]

mod answer;
mod fatbin;
mod image;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::{Duration, Instant};

use vgpu_device_memory::Memory;
use vgpu_engine::{
    Counters, DevicePtr, Engine, Error, ErrorKind, FunctionInfo, GlobalInfo, Launch, LinkId,
    LinkInput, MemoryId, MemoryInfo, ModuleId, ModuleInfo, ParameterInfo, Pattern, Properties,
    Result, halves,
};
use vgpu_ptx::Linker;
use vgpu_simt::{BLOCK_MAX, Executor, Program};

/// What a CPU engine is to be.
#[derive(Debug, Clone)]
pub struct Config {
    /// Device memory, in bytes.
    pub memory: u64,
    /// The addresses of device memory: the first, and the one behind the last.
    /// A program's own addresses must not lie in between.
    pub addresses: (u64, u64),
    /// Threads of the host. One makes every run the same.
    pub threads: usize,
    /// The most instructions of warps that one block may execute.
    pub instructions_max: u64,
    /// The compute capability that is reported.
    pub compute_capability: (u32, u32),
    /// Whether races in shared memory are looked for; kernels are some times slower.
    pub race_check: bool,
    /// How long each kernel takes at least, for tests of what divides an engine: it is executed, and the rest of the time
    /// is slept.
    pub kernel: Duration,
}

impl Default for Config {
    /// 4 GiB, one thread, compute capability 7.0: what the table of forms covers.
    fn default() -> Self {
        Self {
            memory: 4 << 30,
            addresses: (0x0200_0000_0000, 0x0300_0000_0000),
            threads: 1,
            instructions_max: 1 << 40,
            compute_capability: (7, 0),
            race_check: false,
            kernel: Duration::ZERO,
        }
    }
}

/// The engine that executes PTX on processors.
#[derive(Debug)]
pub struct CpuEngine {
    properties: Properties,
    memory: Memory,
    /// Addresses of modules' variables, which `free` does not take.
    globals: HashSet<u64>,
    modules: BTreeMap<ModuleId, Arc<Program>>,
    next_module: u64,
    links: BTreeMap<LinkId, Linker>,
    next_link: u64,
    executor: Executor,
    race_check: bool,
    kernel: Duration,
    counters: Counters,
}

impl CpuEngine {
    /// An engine without modules and allocations.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let [(first, last), (mappable, end)] = halves(config.addresses);
        let threads = u32::try_from(config.threads).unwrap_or(u32::MAX);
        Self {
            properties: Properties {
                name: "vgpu CPU engine".into(),
                compute_capability: config.compute_capability,
                total_memory: config.memory,
                max_threads_per_block: BLOCK_MAX,
                max_block: [1024, 1024, 64],
                max_grid: [i32::MAX.cast_unsigned(), 65535, 65535],
                shared_memory_per_block: 48 << 10,
                shared_memory_per_block_optin: 227 << 10,
                constant_memory: 64 << 10,
                warp_size: 32,
                multiprocessors: threads.max(1),
            },
            memory: Memory::new(first, last, config.memory).with_mappings(mappable, end),
            globals: HashSet::new(),
            modules: BTreeMap::new(),
            next_module: 1,
            links: BTreeMap::new(),
            next_link: 1,
            executor: Executor::new(config.threads, config.instructions_max),
            race_check: config.race_check,
            kernel: config.kernel,
            counters: Counters::default(),
        }
    }

    /// What ends the kernel that runs, from another thread, and keeps later
    /// ones from running.
    #[must_use]
    pub fn stop(&self) -> Arc<AtomicBool> {
        self.executor.stop()
    }

    fn program(&self, module: ModuleId) -> Result<&Arc<Program>> {
        let found = self.modules.get(&module);
        found.ok_or_else(|| Error::new(ErrorKind::InvalidHandle, format!("no module {module:?}")))
    }
}

impl Engine for CpuEngine {
    fn properties(&self) -> &Properties {
        &self.properties
    }

    fn counters(&self) -> Counters {
        self.counters
    }

    fn memory_info(&self) -> MemoryInfo {
        MemoryInfo {
            free: self.memory.free_bytes(),
            total: self.memory.capacity(),
        }
    }

    fn alloc(&mut self, size: u64) -> Result<DevicePtr> {
        let address = self.memory.alloc(size).map_err(answer::alloc)?;
        self.counters.allocations = self.counters.allocations.saturating_add(1);
        Ok(address)
    }

    fn free(&mut self, address: DevicePtr) -> Result<()> {
        if self.globals.contains(&address) {
            let text = format!("{address:#x} is a module's variable");
            return Err(Error::new(ErrorKind::InvalidValue, text));
        }
        self.memory.free(address).map_err(answer::access)?;
        self.counters.frees = self.counters.frees.saturating_add(1);
        Ok(())
    }

    fn allocation(&self, address: DevicePtr) -> Result<(DevicePtr, u64)> {
        let found = self.memory.find(address, 1).map_err(answer::access)?;
        Ok((found.base(), found.size()))
    }

    fn memory_create(&mut self, size: u64) -> Result<MemoryId> {
        self.memory
            .create(size)
            .map(MemoryId)
            .map_err(answer::alloc)
    }

    fn memory_destroy(&mut self, memory: MemoryId) -> Result<()> {
        self.memory.destroy(memory.0).map_err(answer::access)
    }

    fn memory_map(&mut self, memory: MemoryId, address: DevicePtr) -> Result<()> {
        self.memory.map(memory.0, address).map_err(answer::access)
    }

    fn memory_unmap(&mut self, address: DevicePtr) -> Result<()> {
        self.memory.unmap(address).map_err(answer::access)
    }

    fn write(&mut self, to: DevicePtr, from: &[u8]) -> Result<()> {
        self.memory.write(to, from).map_err(answer::access)?;
        let bytes = from.len() as u64;
        self.counters.bytes_in = self.counters.bytes_in.saturating_add(bytes);
        Ok(())
    }

    fn read(&mut self, from: DevicePtr, to: &mut [u8]) -> Result<()> {
        self.memory.read(from, to).map_err(answer::access)?;
        let bytes = to.len() as u64;
        self.counters.bytes_out = self.counters.bytes_out.saturating_add(bytes);
        Ok(())
    }

    fn copy(&mut self, to: DevicePtr, from: DevicePtr, length: u64) -> Result<()> {
        self.memory.copy(to, from, length).map_err(answer::access)?;
        self.counters.bytes_inside = self.counters.bytes_inside.saturating_add(length);
        Ok(())
    }

    fn fill(&mut self, to: DevicePtr, pattern: Pattern, count: u64) -> Result<()> {
        if to.checked_rem(pattern.size()) != Some(0) {
            let text = format!("{to:#x} is no multiple of {}", pattern.size());
            return Err(Error::new(ErrorKind::InvalidValue, text));
        }
        let filled = match pattern {
            Pattern::Byte(value) => self.memory.fill(to, &[value], count),
            Pattern::Half(value) => self.memory.fill(to, &value.to_le_bytes(), count),
            Pattern::Word(value) => self.memory.fill(to, &value.to_le_bytes(), count),
        };
        filled.map_err(answer::access)?;
        let bytes = count.saturating_mul(pattern.size());
        self.counters.bytes_inside = self.counters.bytes_inside.saturating_add(bytes);
        Ok(())
    }

    fn module_load(&mut self, image: &[u8]) -> Result<ModuleInfo> {
        let text = image::text(image, self.properties.compute_capability)?;
        let module = vgpu_ptx::parse(text).map_err(|error| answer::load(error.into()))?;
        let program = Program::load(&module, &mut self.memory).map_err(answer::load)?;
        let program = match self.race_check {
            true => program.with_race_check(),
            false => program,
        };
        let id = ModuleId(self.next_module);
        self.next_module = self.next_module.saturating_add(1);
        let (major, minor) = module.version;
        let info = info(id, &program, major.saturating_mul(10).saturating_add(minor));
        let globals = program.globals().iter();
        self.globals
            .extend(globals.map(|(_, global)| global.address));
        self.modules.insert(id, Arc::new(program));
        self.counters.modules = self.counters.modules.saturating_add(1);
        Ok(info)
    }

    fn module_unload(&mut self, module: ModuleId) -> Result<()> {
        let program = self.program(module)?.clone();
        self.modules.remove(&module);
        for (_, global) in program.globals() {
            self.globals.remove(&global.address);
        }
        program.unload(&mut self.memory);
        Ok(())
    }

    fn link_create(&mut self) -> Result<LinkId> {
        let id = LinkId(self.next_link);
        self.next_link = self.next_link.saturating_add(1);
        self.links.insert(id, Linker::default());
        Ok(id)
    }

    fn link_add(&mut self, link: LinkId, input: LinkInput, name: &str, image: &[u8]) -> Result<()> {
        let capability = self.properties.compute_capability;
        let linker = self.links.get_mut(&link).ok_or_else(|| no_link(link))?;
        let text = match input {
            LinkInput::Ptx | LinkInput::FatBinary => image::text(image, capability)?,
            other => {
                let text = format!("`{name}` is {other:?}, and the CPU engine links PTX");
                return Err(Error::new(ErrorKind::NoBinaryForGpu, text));
            }
        };
        linker
            .add(text)
            .map_err(|error| Error::new(ErrorKind::InvalidPtx, format!("`{name}`: {error}")))
    }

    /// PTX text: that of all images.
    fn link_complete(&mut self, link: LinkId) -> Result<Vec<u8>> {
        let linker = self.links.get(&link).ok_or_else(|| no_link(link))?;
        let linked = linker.link().map_err(|error| answer::load(error.into()));
        let (text, module) = linked?;
        // What is missing shows now, as with a driver's linker.
        let program = Program::load(&module, &mut self.memory).map_err(answer::load)?;
        program.unload(&mut self.memory);
        Ok(text.into())
    }

    fn link_destroy(&mut self, link: LinkId) -> Result<()> {
        let removed = self.links.remove(&link);
        removed.map(|_| ()).ok_or_else(|| no_link(link))
    }

    fn launch(&mut self, launch: &Launch<'_>) -> Result<()> {
        let began = Instant::now();
        let program = self.program(launch.module)?.clone();
        let view = self.memory.view();
        let inner = vgpu_simt::Launch {
            kernel: launch.function,
            blocks: launch.grid,
            threads: launch.block,
            shared: launch.shared,
            parameters: launch.parameters,
        };
        self.counters.launches = self.counters.launches.saturating_add(1);
        let done = self
            .executor
            .launch(&program, &view, &inner)
            .map_err(|error| answer::launch(&error))?;
        let instructions = self.counters.instructions;
        self.counters.instructions = instructions.saturating_add(done.lane_instructions);
        let rest = self.kernel.saturating_sub(began.elapsed());
        if !rest.is_zero() {
            thread::sleep(rest);
        }
        Ok(())
    }

    fn take_printed(&mut self) -> Vec<u8> {
        self.executor.take_printed()
    }
}

fn no_link(link: LinkId) -> Error {
    Error::new(ErrorKind::InvalidHandle, format!("no link {link:?}"))
}

fn info(id: ModuleId, program: &Program, ptx_version: u32) -> ModuleInfo {
    let function = |kernel: &vgpu_simt::Kernel| FunctionInfo {
        name: kernel.name.clone(),
        parameters: kernel
            .parameters
            .iter()
            .map(|parameter| ParameterInfo {
                offset: parameter.offset,
                size: parameter.size,
            })
            .collect(),
        parameter_size: kernel.parameter_size,
        shared_size: kernel.shared_size,
        local_size: kernel.local_size,
        registers: kernel.registers,
        max_threads: kernel.max_threads.unwrap_or(BLOCK_MAX).min(BLOCK_MAX),
        required_threads: kernel.required_threads,
        ptx_version,
    };
    let mut known = HashSet::new();
    let first = program
        .globals()
        .iter()
        .filter(|(name, _)| known.insert(name));
    let mut globals: Vec<_> = first
        .map(|(name, global)| GlobalInfo {
            name: name.clone(),
            address: global.address,
            size: global.size,
        })
        .collect();
    globals.sort_by_key(|global| global.address);
    ModuleInfo {
        id,
        functions: program.kernels().iter().map(function).collect(),
        globals,
    }
}
