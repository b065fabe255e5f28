//! Contexts, streams and events, as far as they live in this process. There is
//! one device; its primary context and those that programs make share it.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ffi::c_void;
use std::mem::ManuallyDrop;
use std::ptr;
use std::sync::Mutex;

use smallvec::SmallVec;
use vgpu_cuda_wire::{CUcontext, CUresult, CUstream};

use crate::Done;
use crate::handles::{Found, Table, mint};
use crate::lock::lock;

/// Limits that a context has: the sizes of a thread's stack, of the buffer of
/// `printf`, and of the kernels' heap, in bytes.
pub(crate) const LIMITS: usize = 3;

/// A context.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Context {
    pub(crate) flags: u32,
    /// By `cuCtxAttach`, and one by whoever made it.
    pub(crate) uses: usize,
    pub(crate) limits: [usize; LIMITS],
    /// Hints: how a multiprocessor's memory is divided, and how wide its banks are.
    pub(crate) hints: [u32; 2],
}

impl Context {
    const fn new(flags: u32) -> Self {
        Self {
            flags,
            uses: 1,
            limits: [1 << 10, 1 << 20, 8 << 20],
            hints: [0; 2],
        }
    }
}

/// A stream of a context.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stream {
    pub(crate) context: usize,
    pub(crate) flags: u32,
    pub(crate) priority: i32,
}

/// An event of a context.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Event {
    pub(crate) context: usize,
    pub(crate) flags: u32,
}

/// The primary context. Its handle is the same however often it begins anew.
#[derive(Debug, Default)]
struct Primary {
    handle: usize,
    retained: usize,
    flags: u32,
}

/// All contexts, streams and events.
#[derive(Debug, Default)]
pub(crate) struct Contexts {
    all: Table<Context>,
    primary: Mutex<Primary>,
    pub(crate) streams: Table<Stream>,
    pub(crate) events: Table<Event>,
    /// Advice about streams, by the stream and the attribute's number.
    advice: Mutex<BTreeMap<(usize, u32), [u64; 8]>>,
}

/// What a thread has. A program may call until the thread's very end, from
/// destructors of its own: there is none here, and nothing on the heap but for
/// who nests contexts deeply.
struct Thread {
    /// The current context, or 0.
    current: Cell<usize>,
    /// Those that were current before, each until the next was pushed.
    below: RefCell<SmallVec<[usize; 4]>>,
    /// The context and the stream of its last call.
    context: Cell<Found>,
    stream: Cell<Found>,
}

thread_local! {
    static THREAD: ManuallyDrop<Thread> = const {
        ManuallyDrop::new(Thread {
            current: Cell::new(0),
            below: RefCell::new(SmallVec::new_const()),
            context: Cell::new(Found::NONE),
            stream: Cell::new(Found::NONE),
        })
    };
}

#[inline]
fn handle(context: usize) -> *mut c_void {
    ptr::without_provenance_mut(context)
}

/// The thread's current context, or null.
#[inline]
pub(crate) fn current() -> CUcontext {
    handle(THREAD.with(|thread| thread.current.get()))
}

/// Makes a context the thread's current one, on top of the others.
pub(crate) fn push(context: CUcontext) {
    THREAD.with(|thread| {
        let before = thread.current.replace(context.addr());
        thread.below.borrow_mut().push(before);
    });
}

/// Takes the current context off.
pub(crate) fn pop() -> Result<CUcontext, CUresult> {
    THREAD.with(|thread| {
        let before = thread.below.borrow_mut().pop();
        let before = before.ok_or(CUresult::CUDA_ERROR_INVALID_CONTEXT)?;
        Ok(handle(thread.current.replace(before)))
    })
}

impl Contexts {
    pub(crate) fn create(&self, flags: u32) -> CUcontext {
        self.all.add(Context::new(flags))
    }

    /// Ends a context that the program made. What belongs to it, the caller ends.
    pub(crate) fn destroy(&self, context: CUcontext) -> Done {
        if lock(&self.primary).handle == context.addr() {
            return Err(CUresult::CUDA_ERROR_INVALID_CONTEXT);
        }
        let removed = self.all.remove(context);
        removed.map_err(|_| CUresult::CUDA_ERROR_INVALID_CONTEXT)?;
        if current() == context {
            pop()?;
        }
        Ok(())
    }

    /// Why there is no such context.
    #[cold]
    fn missing(&self, context: CUcontext) -> CUresult {
        match !context.is_null() && lock(&self.primary).handle == context.addr() {
            true => CUresult::CUDA_ERROR_CONTEXT_IS_DESTROYED,
            false => CUresult::CUDA_ERROR_INVALID_CONTEXT,
        }
    }

    pub(crate) fn check(&self, context: CUcontext) -> Done {
        match self.all.number(context) {
            Ok(_) => Ok(()),
            Err(_) => Err(self.missing(context)),
        }
    }

    /// Checks that the thread has a current context.
    #[inline]
    pub(crate) fn check_current(&self) -> Done {
        THREAD.with(|thread| {
            let current = handle(thread.current.get());
            let checked = self.all.check_recent(&thread.context, current);
            checked.map_err(|_| self.missing(current))
        })
    }

    /// The number of a stream that a program made.
    #[inline]
    pub(crate) fn stream(&self, stream: CUstream) -> Result<u64, CUresult> {
        THREAD.with(|thread| self.streams.check_recent(&thread.stream, stream))?;
        Ok(stream.addr() as u64)
    }

    /// Advice about a stream; 0 where there was none.
    pub(crate) fn attribute(&self, stream: CUstream, attribute: u32) -> [u64; 8] {
        let advice = lock(&self.advice);
        let found = advice.get(&(stream.addr(), attribute));
        found.copied().unwrap_or_default()
    }

    pub(crate) fn set_attribute(&self, stream: CUstream, attribute: u32, value: [u64; 8]) {
        lock(&self.advice).insert((stream.addr(), attribute), value);
    }

    pub(crate) fn copy_attributes(&self, to: CUstream, from: CUstream) {
        let mut advice = lock(&self.advice);
        let found = advice.range((from.addr(), 0)..=(from.addr(), u32::MAX));
        let found = found.map(|((_, attribute), value)| ((to.addr(), *attribute), *value));
        let found: Vec<_> = found.collect();
        advice.extend(found);
    }

    pub(crate) fn forget_attributes(&self, stream: CUstream) {
        lock(&self.advice).retain(|(of, _), _| *of != stream.addr());
    }

    /// What a context is.
    pub(crate) fn get(&self, context: CUcontext) -> Result<Context, CUresult> {
        let found = self.all.get(context);
        found.map_err(|_| self.missing(context))
    }

    /// Changes what a context is.
    pub(crate) fn update(&self, context: CUcontext, change: impl FnOnce(&mut Context)) -> Done {
        let changed = self.all.update(context, change);
        changed.map_err(|_| self.missing(context))
    }

    /// The primary context; one use more.
    pub(crate) fn retain(&self) -> CUcontext {
        let mut primary = lock(&self.primary);
        if primary.handle == 0 {
            primary.handle = mint().addr();
        }
        let context = handle(primary.handle);
        if primary.retained == 0 {
            self.all.put(context, Context::new(primary.flags));
        }
        primary.retained += 1;
        context
    }

    /// One use of the primary context less; gives it where that was the last.
    pub(crate) fn release(&self) -> Result<Option<CUcontext>, CUresult> {
        let mut primary = lock(&self.primary);
        let left = primary.retained.checked_sub(1);
        primary.retained = left.ok_or(CUresult::CUDA_ERROR_INVALID_CONTEXT)?;
        if primary.retained > 0 {
            return Ok(None);
        }
        let context = handle(primary.handle);
        self.all.remove(context)?;
        Ok(Some(context))
    }

    /// The primary context, where it is in use.
    pub(crate) fn active_primary(&self) -> Option<CUcontext> {
        let primary = lock(&self.primary);
        (primary.retained > 0).then(|| handle(primary.handle))
    }

    /// The primary context's flags.
    pub(crate) fn primary_flags(&self) -> u32 {
        lock(&self.primary).flags
    }

    /// Sets the primary context's flags, for now and for when it begins anew.
    pub(crate) fn set_primary_flags(&self, flags: u32) {
        lock(&self.primary).flags = flags;
        if let Some(context) = self.active_primary() {
            let _ = self.update(context, |context| context.flags = flags);
        }
    }

    /// Makes a context the thread's current one, in place of the last; null
    /// takes the last off.
    pub(crate) fn set_current(&self, context: CUcontext) -> Done {
        if !context.is_null() {
            self.check(context)?;
        }
        let _ = pop();
        if !context.is_null() {
            push(context);
        }
        Ok(())
    }
}
