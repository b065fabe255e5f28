//! A worker whose driver is named by its arguments: the library, the node of the
//! kernel driver. A program of its own, as a worker has one thread when it
//! denies files, and a test has two.

use std::os::fd::AsFd;

use vgpu_engine_nvidia::Config;

fn main() {
    let mut words = std::env::args_os().skip(1);
    let mut next = || words.next().expect("a library, a node, the daemon");
    let config = Config {
        library: next().into(),
        control: next().into(),
        device: 0,
    };
    let daemon = next().to_str().and_then(|id| id.parse().ok());
    let socket = std::io::stdin()
        .as_fd()
        .try_clone_to_owned()
        .expect("a socket");
    let daemon = daemon.expect("the daemon's number");
    std::process::exit(vgpu_service::worker_with_driver(socket, daemon, &config));
}
