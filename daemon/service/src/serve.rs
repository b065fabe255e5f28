//! What a worker does with a command.

use vgpu_cuda_wire::{CUresult, dispatch};
use vgpu_engine::ErrorKind;
use vgpu_ring::NO_SLOT;
use vgpu_worker::{Context, Fatal, Request, Service};

use crate::call::Call;
use crate::cuda::Cuda;

impl Service for Cuda {
    fn handle(&mut self, request: Request<'_>, session: &Context<'_>) -> Result<(), Fatal> {
        if request.header.slot != NO_SLOT {
            // It is there before the answer.
            let sent = self.printed.send(session.slice);
            sent.map_err(|fault| Fatal::protocol(&fault))?;
        }
        if request.header.slot != NO_SLOT
            && let Some(status) = self.pending.take()
        {
            // It is not of an image, whatever the program asks next.
            self.refusal.clear();
            return session.reply(&request, status.0.cast_signed(), &[]);
        }
        self.count_queued(|| session.queued());
        let mut call = Call::new(self, session);
        let header = request.header;
        let answer = dispatch(&mut call, header.op, header.aux, request.payload);
        let answer = answer.map_err(|error| Fatal::protocol(&error))?;
        let status = answer.status.0.cast_signed();
        match (answer.awaited, answer.status) {
            (true, _) => session.reply(&request, status, answer.bytes()),
            (false, CUresult::CUDA_SUCCESS) => Ok(()),
            // Nobody waits: the program learns it at its next waiting call.
            (false, error) if passes(error) => {
                self.pending.get_or_insert(error);
                Ok(())
            }
            (false, _) => {
                session.answers.fault(status, header.seq);
                Ok(())
            }
        }
    }

    fn rest(&mut self) {
        self.rest_engine();
    }
}

/// Whether the device goes on after an error: that of a command's arguments does
/// not break it. What is not known is taken for a fault.
fn passes(status: CUresult) -> bool {
    use ErrorKind::{DeviceUnavailable, Unknown};
    ErrorKind::from_code(status.0)
        .is_some_and(|kind| !kind.is_sticky() && !matches!(kind, DeviceUnavailable | Unknown))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_breaks_no_device_passes() {
        for (status, expected) in [
            (CUresult::CUDA_ERROR_INVALID_VALUE, true),
            (CUresult::CUDA_ERROR_INVALID_HANDLE, true),
            (CUresult::CUDA_ERROR_OUT_OF_MEMORY, true),
            (CUresult(700), false),
            (CUresult(719), false),
            (CUresult::CUDA_ERROR_DEVICE_UNAVAILABLE, false),
            (CUresult::CUDA_ERROR_UNKNOWN, false),
            (CUresult(12345), false),
        ] {
            assert_eq!(passes(status), expected, "{status:?}");
        }
    }
}
