//! Modules, functions and links, as this process knows them. Functions are
//! nothing to the worker: a launch says which of a module's it is.

use std::collections::BTreeMap;
use std::ffi::{CString, c_void};
use std::ptr;
use std::sync::atomic::AtomicI32;
use std::sync::{Arc, OnceLock};

use vgpu_cuda_wire::{CUcontext, CUfunction, CUresult, FunctionDescription};

use crate::connection::Connection;
use crate::handles::{Found, Recent, Table, mint};
use crate::pointers::Logs;

/// A loaded module.
#[derive(Debug)]
pub(crate) struct Module {
    pub(crate) number: u64,
    /// The context that it ends with, or 0.
    pub(crate) context: usize,
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
    /// Its name, for the program.
    pub(crate) name: CString,
    /// Dynamic shared memory that a launch may add, in bytes.
    pub(crate) shared_limit: AtomicI32,
}

/// A function that is launched.
#[derive(Debug)]
pub(crate) struct Launched {
    found: Found,
    pub(crate) function: Arc<Function>,
}

impl Launched {
    /// Keeps it for the thread's next launch.
    #[inline]
    pub(crate) fn keep(self) {
        let _ = LAUNCHED.try_with(|recent| recent.keep(self.found, self.function));
    }
}

/// A link: images that become one.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) logs: Logs,
    /// The linked image, and a 0 behind it: the program's until the link's end.
    pub(crate) image: OnceLock<Vec<u8>>,
}

/// All modules, functions and links.
#[derive(Debug, Default)]
pub(crate) struct Modules {
    pub(crate) modules: Table<Arc<Module>>,
    pub(crate) functions: Table<Arc<Function>>,
    pub(crate) links: Table<Arc<Link>>,
}

thread_local! {
    /// The function of the thread's last launch.
    static LAUNCHED: Recent<Arc<Function>> = const { Recent::new() };
}

impl Modules {
    /// A function that is likely the one of the thread's last launch; it is to be
    /// [kept](Launched::keep) for its next.
    #[inline]
    pub(crate) fn launched(&self, function: CUfunction) -> Result<Launched, CUresult> {
        let found = self.functions.now(function);
        // At a thread's very end this is gone, and its calls may go on.
        let recent = LAUNCHED.try_with(|recent| recent.take(found));
        let function = match recent.ok().flatten() {
            Some(recent) => recent,
            None => self.look(function)?,
        };
        Ok(Launched { found, function })
    }

    #[cold]
    fn look(&self, function: CUfunction) -> Result<Arc<Function>, CUresult> {
        self.functions.get(function)
    }

    /// Loads an image for a context, or for none.
    pub(crate) fn load(
        &self,
        connection: &Connection,
        image: &[u8],
        context: CUcontext,
    ) -> Result<*mut c_void, CUresult> {
        let handle = mint();
        let number = handle.addr() as u64;
        let described = connection.load(number, image)?;
        let functions = described
            .functions
            .into_iter()
            .zip(0..)
            .map(|(about, index)| {
                let name = about.name.clone();
                let function = Function {
                    name: CString::new(name.as_bytes()).unwrap_or_default(),
                    module: number,
                    index,
                    shared_limit: AtomicI32::new(shared_limit(&about)),
                    about,
                };
                (name, self.functions.add(Arc::new(function)).addr())
            });
        let globals = described.globals.into_iter();
        let module = Module {
            number,
            context: context.addr(),
            functions: functions.collect(),
            globals: globals
                .map(|(name, address, size)| (name, (address, size)))
                .collect(),
        };
        self.modules.put(handle, Arc::new(module));
        Ok(handle)
    }

    /// Takes a module off, and its functions.
    pub(crate) fn remove(&self, module: *mut c_void) -> Result<Arc<Module>, CUresult> {
        let module = self.modules.remove(module)?;
        self.forget(&module);
        Ok(module)
    }

    /// Takes all modules of a context off.
    pub(crate) fn drain(&self, context: usize) -> Vec<Arc<Module>> {
        let modules = self.modules.drain(|module| module.context == context);
        let modules: Vec<_> = modules.into_iter().map(|(_, module)| module).collect();
        modules.iter().for_each(|module| self.forget(module));
        modules
    }

    fn forget(&self, module: &Module) {
        for &function in module.functions.values() {
            let _ = self.functions.remove(ptr::without_provenance_mut(function));
        }
    }
}

/// The dynamic shared memory that a launch may add without having asked: what a
/// kernel declares counts as well.
fn shared_limit(about: &FunctionDescription) -> i32 {
    const WITHOUT_ASKING: u32 = 48 << 10;
    WITHOUT_ASKING
        .saturating_sub(about.shared_size)
        .cast_signed()
}
