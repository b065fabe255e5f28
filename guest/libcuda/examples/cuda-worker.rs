//! A worker for tests, which have more threads than a worker may have when it
//! closes its sandbox. A word makes it one that is not as it should be: with
//! `older` it knows neither `synchronize` nor `read`, with `garbled` and `flooding` it answers that
//! with notices that cannot be, or with as many as there is room for.

use std::mem::offset_of;
use std::os::fd::AsFd;

use rustix::process::Pid;
use vgpu_cuda_wire::message::{Read, Synchronize};
use vgpu_cuda_wire::notice::PRINTED;
use vgpu_cuda_wire::{Hello, OPERATIONS};
use vgpu_engine_null::NullEngine;
use vgpu_ring::host::Notifier;
use vgpu_ring::layout::NOTICE_TAIL;
use vgpu_ring::{Header, Memory, NO_SLOT};
use vgpu_service::Cuda;
use vgpu_window::Window;
use vgpu_worker::{Context, Fatal, Options, Request, Service};

struct Older(Cuda);

impl Service for Older {
    fn handle(&mut self, request: Request<'_>, session: &Context<'_>) -> Result<(), Fatal> {
        let named = OPERATIONS.iter().find(|(op, _)| *op == request.header.op);
        match named {
            Some((_, "synchronize" | "read")) => Err(Fatal::protocol("unknown operation")),
            // Both are in the first word.
            Some((_, "hello")) => {
                let place = offset_of!(Hello, operations);
                // The program reads it as soon as it is answered: that comes last.
                let header = Header {
                    slot: NO_SLOT,
                    ..*request.header
                };
                let unanswered = Request {
                    header: &header,
                    ..request
                };
                self.0.handle(unanswered, session)?;
                let mut word = [0; 8];
                assert!(session.slice.arena_read(place, &mut word));
                let unknown = 1 << Synchronize::OP | 1 << Read::OP;
                let without = u64::from_le_bytes(word) & !unknown;
                assert!(session.slice.arena_write(place, &without.to_le_bytes()));
                let length = size_of::<Hello>() as u64;
                session.reply(&request, 0, &length.to_le_bytes())
            }
            _ => self.0.handle(request, session),
        }
    }
}

struct Garbled(Cuda);

impl Service for Garbled {
    fn handle(&mut self, request: Request<'_>, session: &Context<'_>) -> Result<(), Fatal> {
        if request.header.op == Synchronize::OP {
            let written = session
                .slice
                .memory()
                .write(NOTICE_TAIL, &8_u64.to_le_bytes());
            assert!(written);
        }
        self.0.handle(request, session)
    }
}

struct Flooding(Cuda, Option<Notifier<Window>>);

impl Service for Flooding {
    fn handle(&mut self, request: Request<'_>, session: &Context<'_>) -> Result<(), Fatal> {
        if request.header.op == Synchronize::OP {
            let new = || Notifier::new(session.slice.clone());
            let notifier = self.1.get_or_insert_with(new);
            while notifier.send(PRINTED, &[b'x'; 1000]).is_ok() {}
        }
        self.0.handle(request, session)
    }
}

fn main() {
    let daemon = std::env::args().next_back();
    let daemon = daemon.and_then(|last| last.parse().ok()).unwrap_or(0);
    let socket = std::io::stdin().as_fd().try_clone_to_owned().unwrap();
    let options = Options {
        parent: Pid::from_raw(daemon),
        ..Options::default()
    };
    let cuda = || {
        Cuda::new(Box::new(|(first, last)| {
            Ok(Box::new(NullEngine::new(1 << 30, first, last)))
        }))
    };
    let served = match std::env::args().nth(1).as_deref() {
        Some("older") => vgpu_worker::serve(socket, &options, Older(cuda())),
        Some("garbled") => vgpu_worker::serve(socket, &options, Garbled(cuda())),
        Some("flooding") => vgpu_worker::serve(socket, &options, Flooding(cuda(), None)),
        _ => std::process::exit(vgpu_service::worker(socket, daemon)),
    };
    std::process::exit(i32::from(served.is_err()));
}
