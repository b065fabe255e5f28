//! Bytes between the program's memory and the device's, and within either.

use vgpu_cuda_wire::CUresult;

use crate::connection::IN_ANSWER;
use crate::pointers::{CopyCall, CopyEnd, Host};
use crate::worker::{Place, Worker};
use crate::{Done, rare};

const INVALID: CUresult = CUresult::CUDA_ERROR_INVALID_VALUE;

/// `CUmemorytype`.
pub(crate) const HOST: u32 = 1;
pub(crate) const DEVICE: u32 = 2;
const ARRAY: u32 = 3;
pub(crate) const UNIFIED: u32 = 4;

/// Bytes that rows of device memory are fetched in at a time.
const BATCH: usize = 256 << 10;

/// Copies bytes that follow each other. Ranges of device memory are checked first, so that nothing
/// is done where one is wrong.
#[inline(always)]
pub(crate) fn transfer(worker: &Worker, stream: u64, to: Place, from: Place, size: usize) -> Done {
    match (to, from) {
        (Place::Device(to), Place::Host(from)) => upload(worker, stream, to, from, size),
        (Place::Host(to), Place::Device(from)) => download(worker, stream, to, from, size),
        (Place::Device(to), Place::Device(from)) => inside(worker, stream, to, from, size),
        (Place::Host(to), Place::Host(from)) => {
            worker.connection.client().synchronize()?;
            from.copy_to(to, size)
        }
    }
}

#[inline]
fn upload(worker: &Worker, stream: u64, to: u64, from: Host, size: usize) -> Done {
    let Worker {
        allocations,
        connection,
        ..
    } = worker;
    let pinned = allocations.pinned(from.address(), size);
    allocations.each_piece(to, size, |offset, length| {
        let to = to + offset as u64;
        match pinned {
            Some((region, start)) => {
                let start = start + offset as u64;
                let client = connection.client();
                client.write_from(to, stream, region, start, length as u64)
            }
            None => connection.upload(to, stream, from.offset(offset).bytes(length)?),
        }
    })
}

#[inline(always)]
fn download(worker: &Worker, stream: u64, to: Host, from: u64, size: usize) -> Done {
    let Worker {
        allocations,
        connection,
        ..
    } = worker;
    // What comes in an answer is copied here, whatever the memory is. Of no bytes, shared memory is asked for all the same: a
    // copy to it waits for the stream.
    let shared = size == 0 || size > IN_ANSWER;
    let pinned = shared
        .then(|| allocations.pinned(to.address(), size))
        .flatten();
    allocations.each_piece(from, size, |offset, length| {
        let from = from + offset as u64;
        match pinned {
            Some((region, start)) => {
                let start = start + offset as u64;
                let client = connection.client();
                client.read_into(from, stream, region, start, length as u64)
            }
            None => connection.download(from, stream, to.offset(offset).bytes_mut(length)?),
        }
    })
}

fn inside(worker: &Worker, stream: u64, to: u64, from: u64, size: usize) -> Done {
    let ends = |address| -> Result<Vec<usize>, CUresult> {
        let pieces = worker.allocations.pieces(address, size)?;
        Ok(pieces
            .iter()
            .map(|(offset, length)| offset + length)
            .collect())
    };
    let mut cuts = [ends(to)?, ends(from)?].concat();
    cuts.sort_unstable();
    cuts.dedup();
    let mut start = 0;
    for end in cuts {
        let (length, offset) = ((end - start) as u64, start as u64);
        let client = worker.connection.client();
        client.copy(to + offset, from + offset, length, stream)?;
        start = end;
    }
    Ok(())
}

/// One side of a copy of rows: where it begins, and what is between rows and slices, in bytes.
#[derive(Clone, Copy, Debug)]
struct Side {
    start: Place,
    row: usize,
    slice: usize,
}

/// A copy of rows and slices.
#[derive(Clone, Debug)]
pub(crate) struct Copy {
    call: CopyCall,
    to: Side,
    from: Side,
}

impl Copy {
    /// Checks a copy: its shape, and that what is the device's lies in memory that there is.
    pub(crate) fn new(worker: &Worker, call: CopyCall) -> Result<Self, CUresult> {
        let empty = [call.width, call.rows, call.slices].contains(&0);
        let side = |end: &CopyEnd| side(worker, &call, end, empty);
        Ok(Self {
            to: side(&call.to)?,
            from: side(&call.from)?,
            call,
        })
    }

    /// A copy of bytes that follow each other.
    pub(crate) fn row(
        worker: &Worker,
        to: Place,
        from: Place,
        width: usize,
    ) -> Result<Self, CUresult> {
        let end = |place| match place {
            Place::Device(start) => CopyEnd::row(DEVICE, Host::default(), start),
            Place::Host(start) => CopyEnd::row(HOST, start, 0),
        };
        let call = CopyCall {
            to: end(to),
            from: end(from),
            width,
            rows: 1,
            slices: 1,
        };
        Self::new(worker, call)
    }

    /// As it was asked for.
    pub(crate) const fn call(&self) -> &CopyCall {
        &self.call
    }

    pub(crate) fn send(&self, worker: &Worker, stream: u64) -> Done {
        let CopyCall {
            width,
            rows,
            slices,
            ..
        } = self.call;
        if [width, rows, slices].contains(&0) {
            return Ok(());
        }
        let packed = |side: &Side| side.row == width && (side.slice == width * rows || slices == 1);
        if rows * slices == 1 || packed(&self.to) && packed(&self.from) {
            let size = width * rows * slices;
            return transfer(worker, stream, self.to.start, self.from.start, size);
        }
        for slice in 0..slices {
            let place = |side: &Side| side.start.offset(slice * side.slice);
            let (to, from) = (place(&self.to), place(&self.from));
            match (to, from) {
                (Place::Host(to), Place::Device(from)) => self.fetch(worker, stream, to, from)?,
                _ => {
                    for row in 0..rows {
                        let place = |start: Place, side: &Side| start.offset(row * side.row);
                        let (to, from) = (place(to, &self.to), place(from, &self.from));
                        transfer(worker, stream, to, from, width)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Fetches the rows of a slice, many at a time, as each fetch is waited for.
    fn fetch(&self, worker: &Worker, stream: u64, to: Host, from: u64) -> Done {
        let (width, rows) = (self.call.width, self.call.rows);
        let pitch = self.from.row;
        let at_once = (BATCH / pitch).max(1);
        let mut first = 0;
        while first < rows {
            let count = at_once.min(rows - first);
            let mut bytes = vec![0; (count - 1) * pitch + width];
            let from = from + (first * pitch) as u64;
            let pieces = worker.allocations.pieces(from, bytes.len())?;
            for (offset, length) in pieces {
                let into = &mut bytes[offset..offset + length];
                let from = from + offset as u64;
                worker.connection.download(from, stream, into)?;
            }
            for (row, bytes) in bytes.chunks(pitch).enumerate() {
                let to = to.offset((first + row) * self.to.row);
                to.bytes_mut(width)?.copy_from_slice(&bytes[..width]);
            }
            first += count;
        }
        Ok(())
    }
}

fn side(worker: &Worker, call: &CopyCall, end: &CopyEnd, empty: bool) -> Result<Side, CUresult> {
    let multiple = |count: usize, size: usize| count.checked_mul(size).ok_or(INVALID);
    // What is not said is as little as there can be.
    let least = |said: usize, least: usize| if said == 0 { least } else { said };
    let row = least(end.pitch, end.x.checked_add(call.width).ok_or(INVALID)?);
    let height = least(end.height, end.y.checked_add(call.rows).ok_or(INVALID)?);
    let slice = multiple(row, height)?;
    let outside = end.x.checked_add(call.width).is_none_or(|end| end > row);
    if outside || call.slices > 1 && end.y.checked_add(call.rows).is_none_or(|end| end > height) {
        return Err(INVALID);
    }
    let places = [multiple(end.z, slice)?, multiple(end.y, row)?, end.x];
    let sum = |all: usize, more: usize| all.checked_add(more);
    let offset = places.into_iter().try_fold(0, sum).ok_or(INVALID)?;
    let start = match end.kind {
        HOST => Place::Host(end.host),
        DEVICE => Place::Device(end.device),
        // A program's own memory may be anywhere.
        UNIFIED => worker.place(end.device),
        ARRAY => return Err(crate::unsupported("a copy of an array")),
        _ => return Err(INVALID),
    };
    if empty {
        return Ok(Side { start, row, slice });
    }
    let last = [
        multiple(call.slices - 1, slice)?,
        multiple(call.rows - 1, row)?,
        call.width,
    ];
    let length = last.into_iter().try_fold(0, sum).ok_or(INVALID)?;
    match start {
        Place::Device(start) => {
            let start = start.checked_add(offset as u64).ok_or(INVALID)?;
            worker.allocations.check(start, length)?;
        }
        Place::Host(host) if host.address() == 0 => return Err(INVALID),
        Place::Host(_) => {}
    }
    Ok(Side {
        start: start.offset(offset),
        row,
        slice,
    })
}

/// Elements that are repeated, in rows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fill {
    pub(crate) to: u64,
    /// Bytes from a row to the next.
    pub(crate) pitch: usize,
    pub(crate) value: u32,
    /// Of an element: 1, 2 or 4 bytes.
    pub(crate) element: u8,
    /// Elements of a row.
    pub(crate) width: usize,
    pub(crate) rows: usize,
}

impl Fill {
    /// Checks that all rows are in memory that there is, at places that elements may be at.
    pub(crate) fn check(&self, worker: &Worker) -> Done {
        match self.extent()? {
            0 => Ok(()),
            length => worker.allocations.check(self.to, length),
        }
    }

    /// The bytes from the first to behind the last that is filled, where elements may be there.
    #[inline(always)]
    pub(crate) fn extent(&self) -> Result<usize, CUresult> {
        // Without a division, which would take longer than all else here.
        let mask = match self.element {
            element @ (1 | 2 | 4) => u64::from(element) - 1,
            _ => return Err(rare(INVALID)),
        };
        let width = self.width.checked_mul(self.element.into());
        let width = width.ok_or_else(|| rare(INVALID))?;
        if width == 0 || self.rows == 0 {
            return Ok(0);
        }
        let apart = self.rows == 1 || self.pitch as u64 & mask == 0 && self.pitch >= width;
        if self.to & mask != 0 || !apart {
            return Err(rare(INVALID));
        }
        let behind = (self.rows - 1).checked_mul(self.pitch);
        let length = behind.and_then(|behind| behind.checked_add(width));
        length.ok_or_else(|| rare(INVALID))
    }

    pub(crate) fn send(&self, worker: &Worker, stream: u64) -> Done {
        let width = self.width * usize::from(self.element);
        let (rows, width) = match self.pitch == width {
            true => (self.rows.min(1), self.rows * width),
            false => (self.rows, width),
        };
        let mut rows = (0..rows).map(|row| self.to + (row * self.pitch) as u64);
        rows.try_for_each(|to| self.send_row(worker, stream, to, width))
    }

    /// Fills so many bytes from an address on.
    #[inline(always)]
    pub(crate) fn send_row(&self, worker: &Worker, stream: u64, to: u64, width: usize) -> Done {
        worker.allocations.each_piece(
            to,
            width,
            #[inline(always)]
            |offset, length| {
                let count = length as u64 >> self.element.trailing_zeros();
                let to = to + offset as u64;
                let client = worker.connection.client();
                client.fill(to, self.value, self.element, count, stream)
            },
        )
    }
}
