//! What went wrong below, as CUDA says it.

use vgpu_device_memory::{AccessError, AccessErrorKind, AllocError};
use vgpu_engine::{Error, ErrorKind};
use vgpu_simt::{Cause, LaunchError, LoadError};

pub(crate) fn alloc(error: AllocError) -> Error {
    let kind = match error {
        AllocError::Empty => ErrorKind::InvalidValue,
        AllocError::Full { .. } => ErrorKind::OutOfMemory,
    };
    Error::new(kind, error.to_string())
}

pub(crate) fn access(error: AccessError) -> Error {
    Error::new(ErrorKind::InvalidValue, error.to_string())
}

pub(crate) fn load(error: LoadError) -> Error {
    match error {
        LoadError::Ptx(error) => Error::new(ErrorKind::InvalidPtx, error.to_string()),
        LoadError::Memory(error) => alloc(error),
    }
}

pub(crate) fn launch(error: &LaunchError) -> Error {
    let kind = match error {
        LaunchError::NoKernel(_) => ErrorKind::NotFound,
        LaunchError::Shape(_) | LaunchError::Parameters { .. } => ErrorKind::InvalidValue,
        LaunchError::Fault(fault) => match fault.cause {
            Cause::Global(AccessError {
                kind: AccessErrorKind::Misaligned,
                ..
            }) => ErrorKind::MisalignedAddress,
            // Sizes are powers of two.
            Cause::Shared { address, size, .. }
            | Cause::Local { address, size, .. }
            | Cause::Parameter { address, size, .. }
                if address & size.saturating_sub(1) != 0 =>
            {
                ErrorKind::MisalignedAddress
            }
            Cause::Global(_)
            | Cause::Shared { .. }
            | Cause::Local { .. }
            | Cause::Parameter { .. } => ErrorKind::IllegalAddress,
            Cause::Call(_) | Cause::Branch(..) => ErrorKind::InvalidPc,
            Cause::Stack(_) => ErrorKind::HardwareStackError,
            Cause::Barrier(_) | Cause::BarrierCount(_) => ErrorKind::IllegalInstruction,
            Cause::Assertion => ErrorKind::Assert,
            Cause::Stopped(_) => ErrorKind::LaunchTimeout,
            _ => ErrorKind::LaunchFailed,
        },
    };
    Error::new(kind, error.to_string())
}
