//! Memory pools: what they count and how they may grow. The memory is the
//! device's, and goes back to it as soon as it is freed.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use vgpu_cuda_wire::{CUmemoryPool, CUresult};

use crate::allocations::Device;
use crate::handles::Table;
use crate::lock::lock;

/// A pool.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    /// The most bytes, or 0.
    pub(crate) most: u64,
    /// Whether memory may be used again by order of events, by chance, and by
    /// order that the pool makes.
    pub(crate) reuse: [i32; 3],
    /// Bytes that it may keep.
    pub(crate) threshold: u64,
    /// Bytes in use.
    pub(crate) used: u64,
    /// The most bytes that were ever reserved, and in use.
    pub(crate) high: [u64; 2],
}

impl Pool {
    fn new(most: u64) -> Self {
        Self {
            most,
            reuse: [1; 3],
            ..Self::default()
        }
    }
}

/// All pools.
#[derive(Debug)]
pub(crate) struct Pools {
    all: Table<Arc<Mutex<Pool>>>,
    default: usize,
    current: AtomicUsize,
}

impl Default for Pools {
    fn default() -> Self {
        let all = Table::default();
        let default = all.add(Arc::new(Mutex::new(Pool::new(0)))).addr();
        Self {
            all,
            default,
            current: AtomicUsize::new(default),
        }
    }
}

fn handle(pool: usize) -> CUmemoryPool {
    std::ptr::without_provenance_mut(pool)
}

impl Pools {
    /// The pool that the device has from the start.
    pub(crate) fn first(&self) -> CUmemoryPool {
        handle(self.default)
    }

    /// The pool of allocations that name none.
    pub(crate) fn current(&self) -> CUmemoryPool {
        handle(self.current.load(Ordering::Relaxed))
    }

    pub(crate) fn set_current(&self, pool: CUmemoryPool) -> Result<(), CUresult> {
        self.get(pool)?;
        self.current.store(pool.addr(), Ordering::Relaxed);
        Ok(())
    }

    pub(crate) fn create(&self, most: u64) -> CUmemoryPool {
        self.all.add(Arc::new(Mutex::new(Pool::new(most))))
    }

    pub(crate) fn destroy(&self, pool: CUmemoryPool) -> Result<(), CUresult> {
        if pool == self.first() {
            return Err(CUresult::CUDA_ERROR_INVALID_VALUE);
        }
        self.all.remove(pool).map_err(|_| invalid())?;
        let (own, default) = (pool.addr(), self.default);
        let order = Ordering::Relaxed;
        let _ = self.current.compare_exchange(own, default, order, order);
        Ok(())
    }

    pub(crate) fn get(&self, pool: CUmemoryPool) -> Result<Arc<Mutex<Pool>>, CUresult> {
        self.all.get(pool).map_err(|_| invalid())
    }

    /// Counts bytes that are taken from a pool.
    pub(crate) fn take(&self, pool: CUmemoryPool, size: u64) -> Result<(), CUresult> {
        let pool = self.get(pool)?;
        let mut pool = lock(&pool);
        let used = pool.used.saturating_add(size);
        if pool.most > 0 && used > pool.most {
            return Err(CUresult::CUDA_ERROR_OUT_OF_MEMORY);
        }
        pool.used = used;
        pool.high = pool.high.map(|high| high.max(used));
        Ok(())
    }

    /// Counts an allocation that is given back to the pool that it is from.
    pub(crate) fn give(&self, allocation: &Device) {
        // A pool that is destroyed counts no more.
        if let Ok(pool) = self.get(handle(allocation.pool)) {
            let mut pool = lock(&pool);
            pool.used = pool.used.saturating_sub(allocation.size);
        }
    }
}

const fn invalid() -> CUresult {
    CUresult::CUDA_ERROR_INVALID_VALUE
}
