//! A process that has no descriptor left. It has a process of its own, as the
//! limit is the process's.

mod common;

use std::fs::{self, File};
use std::iter;

use common::Stepped;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

fn open_files() -> u64 {
    // The folder itself is open while it is read.
    fs::read_dir("/proc/self/fd").unwrap().count() as u64 - 1
}

#[test]
fn clients_come_and_go_without_a_trace_and_find_a_server_that_is_out_of_files() {
    let mut stepped = Stepped::new();
    let mut peer = stepped.greeted();
    let before = open_files();
    for _ in 0..1000 {
        let clients: Vec<_> = (0..10).map(|_| stepped.connect()).collect();
        stepped.settle();
        drop(clients);
        stepped.settle();
    }
    assert_eq!(open_files(), before);

    // They wait to be accepted, and then there is no descriptor for them.
    let waiting = [stepped.connect(), stepped.connect()];
    let limit = getrlimit(Resource::Nofile);
    let few = Rlimit {
        current: Some(64),
        ..limit
    };
    setrlimit(Resource::Nofile, few).unwrap();
    let files: Vec<_> = iter::from_fn(|| File::open("/dev/null").ok()).collect();
    stepped.settle();
    for mut waits in waiting {
        assert!(waits.last_words().is_empty());
    }
    let reply = stepped.ask(&mut peer, "{\"command\":\"info\"}");
    assert!(reply["result"].is_object());

    drop(files);
    stepped.assert_alive(&mut peer);
}
