//! A worker for tests: it answers with what it was sent, and misbehaves where it
//! is told to. A program of its own, as a worker has one thread when it closes
//! its sandbox, and a test has two.

use std::os::fd::AsFd;

use rustix::process::Pid;
use vgpu_ring::Memory;
use vgpu_worker::{Context, Fatal, Options, Request, Service};

const ECHO: u16 = 1;
const ABORT: u16 = 2;
const LOOP: u16 = 3;
const REGION: u16 = 4;
const DENIED: u16 = 5;
const PROCESS: u16 = 6;

struct Echo;

impl Service for Echo {
    fn handle(&mut self, request: Request<'_>, session: &Context<'_>) -> Result<(), Fatal> {
        match request.header.op {
            ECHO => {
                let length = request.payload.len().min(112);
                session.reply(&request, 7, &request.payload[..length])
            }
            ABORT => std::process::abort(),
            LOOP => loop {
                std::hint::spin_loop();
            },
            REGION => {
                let region = session.regions.get(request.header.aux);
                let mut bytes = [0; 8];
                let read = region.is_some_and(|region| region.read(4088, &mut bytes));
                session.reply(&request, i32::from(!read), &bytes)
            }
            DENIED => {
                let _ = std::os::unix::net::UnixStream::pair();
                session.reply(&request, 0, &[])
            }
            PROCESS => session.reply(&request, 0, &std::process::id().to_le_bytes()),
            op => Err(Fatal::protocol(&format!("unknown op {op}"))),
        }
    }
}

fn main() {
    if std::env::args().any(|word| word == "second-thread") {
        std::thread::spawn(std::thread::park);
    }
    let parent = std::env::args().next_back();
    let parent = parent.and_then(|last| last.parse().ok()).unwrap_or(0);
    let socket = std::io::stdin().as_fd().try_clone_to_owned().unwrap();
    let options = Options {
        parent: Pid::from_raw(parent),
        regions: 1 << 20,
        ..Options::default()
    };
    let served = vgpu_worker::serve(socket, &options, Echo);
    if let Err(error) = &served {
        eprintln!("{error}");
    }
    std::process::exit(i32::from(served.is_err()));
}
