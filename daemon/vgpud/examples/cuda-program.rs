//! A program for tests: it sends its worker what a CUDA program's library would.
//!
//!     cuda-program steps       says each step of a session's life
//!     cuda-program idle        calls from some threads, and then does nothing
//!     cuda-program beside N    uses a session, while N others of its kind are hostile

#[path = "hostile/mod.rs"]
mod hostile;
#[path = "session/mod.rs"]
mod session;

use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use vgpu_cuda_wire::Client;
use vgpu_transport::Transport;
use vgpu_transport::local::Name;

use session::{Session, Thread, launch};

/// A session's whole life, at each step of which somebody may be killed.
fn steps(name: Name) -> Option<()> {
    println!("started {name}");
    let session = Session::open(name)?;
    println!("open");
    session.begin().ok()?;
    println!("loaded");
    let region = session.local.add_region(1 << 20).ok()?;
    let thread = Thread(&session, 0);
    let pointer = Client(thread).memory_allocate(1 << 20).ok()?;
    println!("launching");
    for _ in 0..8 {
        launch(thread, 1000).ok()?;
        Client(thread)
            .write_from(pointer, 0, region.id, 0, 1 << 20)
            .ok()?;
        Client(thread).synchronize().ok()?;
    }
    println!("ending");
    session.local.remove_region(region.id).ok()?;
    Some(())
}

/// Threads that have all called, and then wait for something else.
fn idle(name: Name) -> Option<()> {
    let session = Session::open(name)?;
    session.begin().ok()?;
    let called = Barrier::new(5);
    thread::scope(|scope| {
        for slot in 0..4 {
            let (called, session) = (&called, &session);
            scope.spawn(move || {
                let thread = Thread(session, slot);
                launch(thread, 1000).unwrap();
                Client(thread).synchronize().unwrap();
                called.wait();
                thread::sleep(Duration::from_secs(3600));
            });
        }
        called.wait();
        println!("idle");
    });
    Some(())
}

fn main() {
    let name = Name::find().unwrap();
    let words: Vec<_> = std::env::args().skip(1).collect();
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    let done = match words[..] {
        ["steps"] => steps(name),
        ["idle"] => idle(name),
        ["beside", count] => hostile::beside(name, count),
        ["hostile", count] => hostile::sessions(name, count.parse().unwrap()),
        _ => panic!("{words:?}"),
    };
    std::process::exit(if done.is_some() { 0 } else { 3 });
}
