//! An engine whose memory is real and whose kernels do nothing: what a program
//! asks for is checked and counted, so that a protocol, its cost, and leaks can
//! be measured without what computes.
//!
//! PTX of every origin is taken, as none of it is executed: kernels, layouts of
//! parameters and variables are read from the text, instructions are not looked
//! at.
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

use std::collections::BTreeMap;

use vgpu_device_memory::{AccessError, AllocError, Memory};
use vgpu_engine::{
    Counters, DevicePtr, Engine, Error, ErrorKind, FunctionInfo, GlobalInfo, Launch, LinkId,
    LinkInput, MemoryId, MemoryInfo, ModuleId, ModuleInfo, ParameterInfo, Pattern, Properties,
    Result, halves,
};
use vgpu_ptx::{Linkage, Linker, Space};

/// An engine whose kernels do nothing.
#[derive(Debug)]
pub struct NullEngine {
    properties: Properties,
    memory: Memory,
    modules: BTreeMap<ModuleId, ModuleInfo>,
    next_module: u64,
    links: BTreeMap<LinkId, Linker>,
    next_link: u64,
    counters: Counters,
}

impl NullEngine {
    /// An engine with `memory` bytes at the addresses from `first` to `last`,
    /// which is not one of them. It says compute capability 9.0.
    #[must_use]
    pub fn new(memory: u64, first: DevicePtr, last: DevicePtr) -> Self {
        let [(lowest, highest), (mappable, end)] = halves((first, last));
        Self {
            properties: Properties {
                name: "vgpu null engine".into(),
                compute_capability: (9, 0),
                total_memory: memory,
                max_threads_per_block: 1024,
                max_block: [1024, 1024, 64],
                max_grid: [i32::MAX.cast_unsigned(), 65535, 65535],
                shared_memory_per_block: 48 << 10,
                shared_memory_per_block_optin: 227 << 10,
                constant_memory: 64 << 10,
                warp_size: 32,
                multiprocessors: 132,
            },
            memory: Memory::new(lowest, highest, memory).with_mappings(mappable, end),
            modules: BTreeMap::new(),
            next_module: 1,
            links: BTreeMap::new(),
            next_link: 1,
            counters: Counters::default(),
        }
    }

    /// Allocations that are held, those of modules among them.
    #[must_use]
    pub fn held(&self) -> usize {
        self.memory.count()
    }

    fn module(&self, id: ModuleId) -> Result<&ModuleInfo> {
        let found = self.modules.get(&id);
        found.ok_or_else(|| Error::new(ErrorKind::InvalidHandle, format!("no module {id:?}")))
    }

    fn globals(&mut self, module: &vgpu_ptx::Module<'_>) -> Result<Vec<GlobalInfo>> {
        let mut globals = Vec::new();
        for variable in &module.variables {
            let device = matches!(variable.space, Space::Global | Space::Constant);
            if !device || variable.linkage == Linkage::Extern {
                continue;
            }
            match self.memory.alloc(variable.size.max(1)) {
                Ok(address) => globals.push(GlobalInfo {
                    name: variable.name.into(),
                    address,
                    size: variable.size,
                }),
                Err(error) => {
                    for global in &globals {
                        let _ = self.memory.free(global.address);
                    }
                    return Err(alloc(error));
                }
            }
        }
        Ok(globals)
    }
}

fn access(error: AccessError) -> Error {
    Error::new(ErrorKind::InvalidValue, error.to_string())
}

fn alloc(error: AllocError) -> Error {
    let kind = match error {
        AllocError::Empty => ErrorKind::InvalidValue,
        AllocError::Full { .. } => ErrorKind::OutOfMemory,
    };
    Error::new(kind, error.to_string())
}

fn count(counter: &mut u64, by: u64) {
    *counter = counter.saturating_add(by);
}

/// The text of an image.
fn text(image: &[u8]) -> Result<&str> {
    let text = vgpu_ptx::image::text(image);
    text.map_err(|error| Error::new(ErrorKind::InvalidImage, error.to_string()))
}

#[allow(clippy::needless_pass_by_value)]
fn invalid(error: vgpu_ptx::Error) -> Error {
    Error::new(ErrorKind::InvalidPtx, error.to_string())
}

fn no_link() -> Error {
    Error::new(ErrorKind::InvalidHandle, "no such link")
}

impl Engine for NullEngine {
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
        let address = self.memory.alloc(size).map_err(alloc)?;
        count(&mut self.counters.allocations, 1);
        Ok(address)
    }

    fn free(&mut self, address: DevicePtr) -> Result<()> {
        let mut globals = self.modules.values().flat_map(|module| &module.globals);
        if globals.any(|global| global.address == address) {
            let text = format!("{address:#x} is a module's variable");
            return Err(Error::new(ErrorKind::InvalidValue, text));
        }
        self.memory.free(address).map_err(access)?;
        count(&mut self.counters.frees, 1);
        Ok(())
    }

    fn allocation(&self, address: DevicePtr) -> Result<(DevicePtr, u64)> {
        let found = self.memory.find(address, 1).map_err(access)?;
        Ok((found.base(), found.size()))
    }

    fn memory_create(&mut self, size: u64) -> Result<MemoryId> {
        self.memory.create(size).map(MemoryId).map_err(alloc)
    }

    fn memory_destroy(&mut self, memory: MemoryId) -> Result<()> {
        self.memory.destroy(memory.0).map_err(access)
    }

    fn memory_map(&mut self, memory: MemoryId, address: DevicePtr) -> Result<()> {
        self.memory.map(memory.0, address).map_err(access)
    }

    fn memory_unmap(&mut self, address: DevicePtr) -> Result<()> {
        self.memory.unmap(address).map_err(access)
    }

    fn write(&mut self, to: DevicePtr, from: &[u8]) -> Result<()> {
        self.memory.write(to, from).map_err(access)?;
        count(&mut self.counters.bytes_in, from.len() as u64);
        Ok(())
    }

    fn read(&mut self, from: DevicePtr, to: &mut [u8]) -> Result<()> {
        self.memory.read(from, to).map_err(access)?;
        count(&mut self.counters.bytes_out, to.len() as u64);
        Ok(())
    }

    fn copy(&mut self, to: DevicePtr, from: DevicePtr, length: u64) -> Result<()> {
        self.memory.copy(to, from, length).map_err(access)?;
        count(&mut self.counters.bytes_inside, length);
        Ok(())
    }

    fn fill(&mut self, to: DevicePtr, pattern: Pattern, times: u64) -> Result<()> {
        if to.checked_rem(pattern.size()) != Some(0) {
            let text = format!("{to:#x} is no multiple of {}", pattern.size());
            return Err(Error::new(ErrorKind::InvalidValue, text));
        }
        let filled = match pattern {
            Pattern::Byte(value) => self.memory.fill(to, &[value], times),
            Pattern::Half(value) => self.memory.fill(to, &value.to_le_bytes(), times),
            Pattern::Word(value) => self.memory.fill(to, &value.to_le_bytes(), times),
        };
        filled.map_err(access)?;
        let bytes = times.saturating_mul(pattern.size());
        count(&mut self.counters.bytes_inside, bytes);
        Ok(())
    }

    fn module_load(&mut self, image: &[u8]) -> Result<ModuleInfo> {
        let module = vgpu_ptx::parse(text(image)?).map_err(invalid)?;
        let (major, minor) = module.version;
        let ptx_version = major.saturating_mul(10).saturating_add(minor);
        let mut functions = Vec::new();
        for function in module.functions.iter().filter(|f| f.entry && f.defined) {
            let (offsets, parameter_size) = function.parameter_offsets().ok_or_else(|| {
                let text = format!("the parameters of `{}` are too large", function.name);
                Error::new(ErrorKind::InvalidPtx, text)
            })?;
            let parameters = offsets.into_iter().zip(&function.parameters);
            functions.push(FunctionInfo {
                name: function.name.into(),
                parameters: parameters
                    .map(|(offset, parameter)| ParameterInfo {
                        offset,
                        size: u32::try_from(parameter.size).unwrap_or(u32::MAX),
                    })
                    .collect(),
                parameter_size,
                shared_size: 0,
                local_size: 0,
                registers: 0,
                max_threads: 1024,
                required_threads: None,
                ptx_version,
            });
        }
        let info = ModuleInfo {
            id: ModuleId(self.next_module),
            functions,
            globals: self.globals(&module)?,
        };
        self.next_module = self.next_module.saturating_add(1);
        self.modules.insert(info.id, info.clone());
        count(&mut self.counters.modules, 1);
        Ok(info)
    }

    fn module_unload(&mut self, module: ModuleId) -> Result<()> {
        for global in self.module(module)?.globals.clone() {
            let _ = self.memory.free(global.address);
        }
        self.modules.remove(&module);
        Ok(())
    }

    fn link_create(&mut self) -> Result<LinkId> {
        let id = LinkId(self.next_link);
        self.next_link = self.next_link.saturating_add(1);
        self.links.insert(id, Linker::default());
        Ok(id)
    }

    fn link_add(&mut self, link: LinkId, _: LinkInput, _: &str, image: &[u8]) -> Result<()> {
        let linker = self.links.get_mut(&link).ok_or_else(no_link)?;
        linker.add(text(image)?).map_err(invalid)
    }

    fn link_complete(&mut self, link: LinkId) -> Result<Vec<u8>> {
        let linker = self.links.get(&link).ok_or_else(no_link)?;
        let (text, _) = linker.link().map_err(invalid)?;
        Ok(text.into())
    }

    fn link_destroy(&mut self, link: LinkId) -> Result<()> {
        self.links.remove(&link).map(|_| ()).ok_or_else(no_link)
    }

    fn launch(&mut self, launch: &Launch<'_>) -> Result<()> {
        let module = self.module(launch.module)?;
        let function = module.functions.iter().find(|f| f.name == launch.function);
        let function = function.ok_or_else(|| {
            Error::new(
                ErrorKind::NotFound,
                format!("no kernel `{}`", launch.function),
            )
        })?;
        let needed = usize::try_from(function.parameter_size).unwrap_or(usize::MAX);
        if launch.parameters.len() < needed {
            let text = format!(
                "{} bytes of parameters, {needed} needed",
                launch.parameters.len()
            );
            return Err(Error::new(ErrorKind::InvalidValue, text));
        }
        let threads = launch
            .block
            .iter()
            .fold(1u64, |all, n| all.saturating_mul(u64::from(*n)));
        if launch.grid.contains(&0) || threads == 0 || threads > 1024 {
            let text = format!("a grid of {:?} blocks of {:?}", launch.grid, launch.block);
            return Err(Error::new(ErrorKind::InvalidValue, text));
        }
        count(&mut self.counters.launches, 1);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use vgpu_engine::{Engine, ErrorKind, Launch, Pattern};

    use super::NullEngine;

    #[test]
    fn memory_is_real_kernels_are_not_and_all_is_counted() {
        let mut engine = NullEngine::new(1 << 20, 1 << 32, 1 << 40);
        let a = engine.alloc(64).unwrap();
        engine.fill(a, Pattern::Word(7), 16).unwrap();
        assert_eq!(
            engine
                .fill(a + 1, Pattern::Word(7), 1)
                .unwrap_err()
                .kind
                .code(),
            1
        );
        // Made by whom it may be, with what no table knows.
        let text = "// Generated by NVIDIA NVVM Compiler\n.version 8.0\n.target sm_90\n\
            .address_size 64\n.global .u32 g;\n.visible .entry k(.param .u32 n, .param .u64 p)\n\
            { wgmma.fence.sync.aligned; ret; }\0";
        let module = engine.module_load(text.as_bytes()).unwrap();
        assert_eq!(module.functions[0].parameters[1].offset, 8);
        assert_eq!((engine.held(), module.globals.len()), (2, 1));
        let mut launch = Launch {
            module: module.id,
            function: "k",
            grid: [1; 3],
            block: [32, 1, 1],
            shared: 0,
            parameters: &[0; 16],
        };
        engine.launch(&launch).unwrap();
        launch.parameters = &[0; 15];
        assert_eq!(
            engine.launch(&launch).unwrap_err().kind,
            ErrorKind::InvalidValue
        );
        launch.function = "no";
        assert_eq!(
            engine.launch(&launch).unwrap_err().kind,
            ErrorKind::NotFound
        );
        let mut back = [0; 4];
        engine.read(a + 60, &mut back).unwrap();
        assert_eq!(back, [7, 0, 0, 0]);
        engine.module_unload(module.id).unwrap();
        engine.free(a).unwrap();
        assert_eq!((engine.held(), engine.memory_info().free), (0, 1 << 20));
        let counters = engine.counters();
        assert_eq!(
            (counters.launches, counters.allocations, counters.frees),
            (1, 1, 1)
        );
        assert_eq!((counters.bytes_inside, counters.bytes_out), (64, 4));
    }
}
