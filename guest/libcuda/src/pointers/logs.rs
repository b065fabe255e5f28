//! The buffers that a program gives for a compiler's or a linker's messages.

use std::ffi::{c_uint, c_void};
use std::ptr;

use vgpu_cuda_wire::CUjit_option;

/// One buffer, and where its option's value says how long it is. Addresses are
/// kept as numbers: a link has them for as long as it lives.
#[derive(Clone, Copy, Debug)]
struct Buffer {
    start: usize,
    capacity: usize,
    /// Where to write how much of it is used.
    used: usize,
}

/// The buffers for information and for errors.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Logs {
    information: Option<Buffer>,
    errors: Option<Buffer>,
}

impl Logs {
    /// The buffers among options, with their values.
    ///
    /// By the driver API, the value of a buffer's option points to as many bytes
    /// as that of its size says, for as long as the call runs, or the link lives
    /// that the options are for; and so do the values themselves.
    pub(crate) fn new(options: &[CUjit_option], values: &mut [*mut c_void]) -> Self {
        // CU_JIT_INFO_LOG_BUFFER and what follows it.
        const INFORMATION: c_uint = 3;
        const INFORMATION_SIZE: c_uint = 4;
        const ERRORS: c_uint = 5;
        const ERRORS_SIZE: c_uint = 6;
        let place = |option| options.iter().position(|&other| other == option);
        let mut buffer = |buffer, size| {
            let start = values.get(place(buffer)?)?.expose_provenance();
            let size = values.get_mut(place(size)?)?;
            Some(Buffer {
                start,
                // The value is an unsigned int.
                capacity: size.addr() & c_uint::MAX as usize,
                used: ptr::from_mut(size).expose_provenance(),
            })
        };
        Self {
            information: buffer(INFORMATION, INFORMATION_SIZE),
            errors: buffer(ERRORS, ERRORS_SIZE),
        }
    }

    /// How many bytes of an error's text there is room for.
    pub(crate) fn room(&self) -> usize {
        let errors = self.errors.filter(|errors| errors.start != 0);
        errors.map_or(0, |errors| errors.capacity.saturating_sub(1))
    }

    /// Writes an error's text, or that there is none; information there is none.
    pub(crate) fn write(&self, error: &[u8]) {
        for (buffer, text) in [(self.information, &[][..]), (self.errors, error)] {
            let Some(buffer) = buffer else {
                continue;
            };
            let length = text.len().min(buffer.capacity.saturating_sub(1));
            if buffer.start != 0 && buffer.capacity > 0 {
                let start: *mut u8 = ptr::with_exposed_provenance_mut(buffer.start);
                // SAFETY: the promise of `new`; there is room for the text.
                unsafe { start.copy_from(text.as_ptr(), length) };
                // SAFETY: as above, and for a 0 behind it.
                let end = unsafe { start.add(length) };
                // SAFETY: as above.
                unsafe { end.write(0) };
            }
            let used: *mut *mut c_void = ptr::with_exposed_provenance_mut(buffer.used);
            // SAFETY: the promise of `new`.
            unsafe { used.write(ptr::without_provenance_mut(length)) };
        }
    }
}
