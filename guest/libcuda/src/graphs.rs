//! Graphs, as this process knows them. They are nothing to the worker: what they
//! do is sent node by node.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use vgpu_cuda_wire::{CUDA_MEMCPY3D, CUresult, CopySide};

use crate::Done;
use crate::allocations::Allocations;
use crate::connection::Connection;
use crate::handles::Table;
use crate::launch::Launch;

const INVALID: CUresult = CUresult::CUDA_ERROR_INVALID_VALUE;

/// What a node does.
#[derive(Clone, Debug)]
pub(crate) enum Node {
    /// A launch, and its block of parameters.
    Kernel(Launch, Vec<u8>),
    Copy(Copy),
}

/// A graph's nodes, by their handles. Who depends on others was added after
/// them, so the order of handles is one to launch in.
pub(crate) type Graph = Arc<Mutex<BTreeMap<usize, Node>>>;

/// All graphs.
#[derive(Debug, Default)]
pub(crate) struct Graphs {
    pub(crate) graphs: Table<Graph>,
    pub(crate) executables: Table<Graph>,
}

impl Node {
    pub(crate) fn send(&self, connection: &Connection, stream: u64) -> Done {
        match self {
            Self::Kernel(launch, parameters) => launch.send(connection, stream, parameters),
            Self::Copy(copy) => copy.send(connection, stream),
        }
    }
}

/// One side of a copy: where it begins, and what is between rows and slices, in
/// bytes.
#[derive(Clone, Copy, Debug)]
struct Side {
    start: u64,
    row: u64,
    slice: u64,
}

/// A copy of rows within device memory.
#[derive(Clone, Debug)]
pub(crate) struct Copy {
    to: Side,
    from: Side,
    width: u64,
    rows: u64,
    slices: u64,
}

impl Copy {
    /// Checks a copy: both sides are in one allocation each.
    pub(crate) fn new<M>(
        allocations: &Allocations<M>,
        copy: &CUDA_MEMCPY3D,
    ) -> Result<Self, CUresult> {
        let [width, rows, slices] = [copy.width, copy.height, copy.depth].map(|size| size as u64);
        let side = |side: &CopySide| {
            // CU_MEMORYTYPE_DEVICE and _UNIFIED; then there are _HOST and _ARRAY.
            match side.kind {
                2 | 4 => {}
                1 | 3 => {
                    return Err(crate::unsupported(
                        "a graph's copy of host memory or an array",
                    ));
                }
                _ => return Err(INVALID),
            }
            // What is not said is as little as there can be.
            let least = |said: usize, least| if said == 0 { least } else { said as u64 };
            let row = least(side.pitch, width);
            let slice = row.checked_mul(least(side.height, rows)).ok_or(INVALID)?;
            if width == 0 || row < width || slice < row.checked_mul(rows).ok_or(INVALID)? {
                return Err(INVALID);
            }
            let offset = |count: u64, size: u64| count.checked_mul(size).ok_or(INVALID);
            let places = [
                offset(side.z as u64, slice)?,
                offset(side.y as u64, row)?,
                side.x as u64,
            ];
            let sum = |start: u64, more: u64| start.checked_add(more);
            let start = places
                .into_iter()
                .try_fold(side.device, sum)
                .ok_or(INVALID)?;
            let last = [offset(slices - 1, slice)?, offset(rows - 1, row)?, width];
            let length = last.into_iter().try_fold(0, sum).ok_or(INVALID)?;
            let length = usize::try_from(length).map_err(|_| INVALID)?;
            allocations.check(start, length)?;
            Ok(Side { start, row, slice })
        };
        if rows == 0 || slices == 0 || rows.checked_mul(slices).is_none() {
            return Err(INVALID);
        }
        Ok(Self {
            to: side(&copy.destination)?,
            from: side(&copy.source)?,
            width,
            rows,
            slices,
        })
    }

    fn send(&self, connection: &Connection, stream: u64) -> Done {
        let packed = |side: &Side| side.row == self.width && side.slice == self.width * self.rows;
        let client = connection.client();
        if packed(&self.to) && packed(&self.from) {
            let size = self.width * self.rows * self.slices;
            return client.copy(self.to.start, self.from.start, size, stream);
        }
        for slice in 0..self.slices {
            for row in 0..self.rows {
                let place = |side: &Side| side.start + slice * side.slice + row * side.row;
                client.copy(place(&self.to), place(&self.from), self.width, stream)?;
            }
        }
        Ok(())
    }
}
