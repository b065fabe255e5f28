//! Modules, functions and graphs, as this process knows them. Functions and
//! graphs are nothing to the worker: a graph's launches are sent one by one.

use std::collections::BTreeMap;
use std::ffi::c_void;
use std::ptr;
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use vgpu_cuda_wire::{CUresult, FunctionDescription};

use crate::Done;
use crate::pointers::{Arguments, KernelNode};
use crate::session::{Session, lock};

/// Values by the handles that this process minted for them.
#[derive(Debug)]
pub(crate) struct Table<T> {
    last: AtomicUsize,
    live: Mutex<BTreeMap<usize, T>>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self {
            last: AtomicUsize::new(0),
            live: Mutex::default(),
        }
    }
}

impl<T: Clone> Table<T> {
    /// A handle for nothing yet.
    pub(crate) fn mint(&self) -> *mut c_void {
        ptr::without_provenance_mut(0x100 + self.last.fetch_add(1, Ordering::Relaxed))
    }

    pub(crate) fn put(&self, handle: *mut c_void, value: T) {
        lock(&self.live).insert(handle.addr(), value);
    }

    pub(crate) fn add(&self, value: T) -> *mut c_void {
        let handle = self.mint();
        self.put(handle, value);
        handle
    }

    #[inline]
    pub(crate) fn get(&self, handle: *mut c_void) -> Result<T, CUresult> {
        let value = lock(&self.live).get(&handle.addr()).cloned();
        value.ok_or(CUresult::CUDA_ERROR_INVALID_HANDLE)
    }

    pub(crate) fn remove(&self, handle: *mut c_void) -> Result<T, CUresult> {
        let value = lock(&self.live).remove(&handle.addr());
        value.ok_or(CUresult::CUDA_ERROR_INVALID_HANDLE)
    }
}

/// A loaded module.
#[derive(Debug)]
pub(crate) struct Module {
    pub(crate) number: u64,
    /// Its functions' handles, by name.
    pub(crate) functions: BTreeMap<String, usize>,
    /// Its variables by name: address and size.
    pub(crate) globals: BTreeMap<String, (u64, u64)>,
}

/// A function of a module.
#[derive(Debug)]
pub(crate) struct Function {
    pub(crate) module: u64,
    pub(crate) index: u32,
    pub(crate) about: FunctionDescription,
    /// Dynamic shared memory that a launch may add, in bytes.
    pub(crate) shared_limit: AtomicI32,
}

/// A launch, with all that it needs.
#[derive(Clone, Debug)]
pub(crate) struct Launch {
    function: Arc<Function>,
    grid: [u32; 3],
    block: [u32; 3],
    shared: u32,
    parameters: Vec<u8>,
}

impl Launch {
    /// Checks a launch, and takes its arguments.
    #[inline]
    pub(crate) fn new(
        function: Arc<Function>,
        grid: [u32; 3],
        block: [u32; 3],
        shared: u32,
        parameters: Arguments,
        extra: Arguments,
    ) -> Result<Self, CUresult> {
        let about = &function.about;
        let threads = block.iter().map(|&side| u64::from(side)).product::<u64>();
        let most = u64::from(about.max_threads);
        if grid.contains(&0) || block.contains(&0) || threads > most {
            return Err(CUresult::CUDA_ERROR_INVALID_VALUE);
        }
        let parameters = parameters.pack(extra, &about.parameters, about.parameter_size)?;
        Ok(Self {
            function,
            grid,
            block,
            shared,
            parameters,
        })
    }

    #[inline]
    pub(crate) fn send(&self, session: &Session, stream: u64) -> Done {
        let ([grid_x, grid_y, grid_z], [block_x, block_y, block_z]) = (self.grid, self.block);
        session.client().launch(
            self.function.module,
            self.function.index,
            grid_x,
            grid_y,
            grid_z,
            block_x,
            block_y,
            block_z,
            self.shared,
            stream,
            &self.parameters,
        )
    }
}

/// A graph's nodes, by their handles. Who depends on others was added after
/// them, so the order of handles is one to launch in.
pub(crate) type Graph = Arc<Mutex<BTreeMap<usize, Launch>>>;

/// All modules, functions and graphs.
#[derive(Debug, Default)]
pub(crate) struct Modules {
    pub(crate) modules: Table<Arc<Module>>,
    pub(crate) functions: Table<Arc<Function>>,
    pub(crate) graphs: Table<Graph>,
    pub(crate) nodes: Table<()>,
    pub(crate) executables: Table<Graph>,
}

impl Modules {
    pub(crate) fn load(&self, session: &Session, image: &[u8]) -> Result<*mut c_void, CUresult> {
        let handle = self.modules.mint();
        let number = handle.addr() as u64;
        let described = session.load(number, image)?;
        let functions = described
            .functions
            .into_iter()
            .zip(0..)
            .map(|(about, index)| {
                let name = about.name.clone();
                let function = Function {
                    module: number,
                    index,
                    about,
                    shared_limit: AtomicI32::new(48 << 10),
                };
                (name, self.functions.add(Arc::new(function)).addr())
            });
        let globals = described.globals.into_iter();
        let module = Module {
            number,
            functions: functions.collect(),
            globals: globals
                .map(|(name, address, size)| (name, (address, size)))
                .collect(),
        };
        self.modules.put(handle, Arc::new(module));
        Ok(handle)
    }

    pub(crate) fn unload(&self, session: &Session, module: *mut c_void) -> Done {
        let module = self.modules.remove(module)?;
        for &function in module.functions.values() {
            self.functions
                .remove(ptr::without_provenance_mut(function))?;
        }
        session.client().module_unload(module.number)
    }

    pub(crate) fn launch_of(&self, node: &KernelNode) -> Result<Launch, CUresult> {
        let function = self.functions.get(node.function)?;
        let (grid, block) = (node.grid, node.block);
        Launch::new(
            function,
            grid,
            block,
            node.shared,
            node.parameters,
            node.extra,
        )
    }
}
