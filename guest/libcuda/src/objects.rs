//! Objects of the program that graphs keep: each has a function that ends it.

use std::collections::BTreeMap;
use std::ptr;

use vgpu_cuda_wire::{CUresult, CUuserObject};

use crate::Done;
use crate::handles::Table;
use crate::pointers::HostFunction;
use crate::worker::Worker;

const INVALID: CUresult = CUresult::CUDA_ERROR_INVALID_VALUE;

/// An object.
#[derive(Clone, Copy, Debug)]
struct Object {
    end: HostFunction,
    /// References of the program and of graphs.
    count: u64,
}

/// All objects.
#[derive(Debug, Default)]
pub(crate) struct Objects(Table<Object>);

impl Objects {
    /// An object, with so many references.
    pub(crate) fn create(&self, end: HostFunction, count: u32) -> CUuserObject {
        let count = count.into();
        self.0.add(Object { end, count })
    }

    /// References more.
    pub(crate) fn retain(&self, object: CUuserObject, count: u32) -> Done {
        let more = |object: &mut Object| object.count += u64::from(count);
        self.0.update(object, more).map_err(|_| INVALID)
    }

    /// References less; with the last one the object ends.
    pub(crate) fn release(
        &self,
        worker: &'static Worker,
        object: CUuserObject,
        count: u32,
    ) -> Done {
        let less = |object: &mut Object| {
            let left = object.count.checked_sub(u64::from(count)).ok_or(INVALID)?;
            object.count = left;
            Ok(left)
        };
        let left = self.0.update(object, less).map_err(|_| INVALID)??;
        if left > 0 {
            return Ok(());
        }
        let ended = self.0.remove(object).map_err(|_| INVALID)?;
        worker.callbacks.end(&worker.connection, ended.end)
    }

    /// References that a graph had.
    pub(crate) fn release_all(
        &self,
        worker: &'static Worker,
        objects: &BTreeMap<usize, u32>,
    ) -> Done {
        objects.iter().try_for_each(|(object, count)| {
            self.release(worker, ptr::without_provenance_mut(*object), *count)
        })
    }
}
