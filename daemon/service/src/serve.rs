//! What a worker does with a command.

use vgpu_cuda_wire::{CUresult, dispatch};
use vgpu_worker::{Context, Fatal, Request, Service};

use crate::call::Call;
use crate::cuda::Cuda;

impl Service for Cuda {
    fn handle(&mut self, request: Request<'_>, session: &Context<'_>) -> Result<(), Fatal> {
        let mut call = Call::new(self, session);
        let header = request.header;
        let answer = dispatch(&mut call, header.op, header.aux, request.payload);
        let answer = answer.map_err(|error| Fatal::protocol(&error))?;
        let status = answer.status.0.cast_signed();
        match (answer.awaited, answer.status) {
            (true, _) => session.reply(&request, status, answer.bytes()),
            (false, CUresult::CUDA_SUCCESS) => Ok(()),
            // Nobody waits: the program learns it at its next waiting call.
            (false, _) => {
                session.answers.fault(status, header.seq);
                Ok(())
            }
        }
    }
}
