//! No request is looked at before the sandbox is in force.

use std::env;
use std::fs::File;
use std::io::{Read, Write};
use std::process::Command;
use std::sync::mpsc::{Sender, channel};

use rustix::io::Errno;
use vgpu_sandbox::Sandbox;
use xen_dm::device_model::Range;
use xen_dm::ioreq::Request;

use super::vcpus::{Fake, config};
use crate::hypervisor::Hypervisor;
use crate::serve::start_request_thread;

/// A hypervisor that notes what the kernel tells of the process's sandbox as the
/// page of requests is first looked at.
struct Watched {
    fake: Fake,
    /// `/proc/self/status`, which is made when it is read.
    status: Option<File>,
    seen: Sender<String>,
}

impl Hypervisor for Watched {
    fn take(&mut self, vcpu: usize) -> Option<Request> {
        if let Some(file) = self.status.take() {
            let mut status = String::new();
            // Of a file alone it would first be asked how much there is.
            file.take(1 << 16).read_to_string(&mut status).unwrap();
            self.seen.send(status).unwrap();
        }
        self.fake.take(vcpu)
    }

    fn map(&mut self, range: Range, mapped: bool) -> Result<(), Errno> {
        self.fake.map(range, mapped)
    }

    fn vcpus(&self) -> usize {
        self.fake.vcpus()
    }

    fn wait(&mut self, vcpus: &mut Vec<usize>) -> Result<(), Errno> {
        self.fake.wait(vcpus)
    }

    fn complete(&mut self, vcpu: usize, read: Option<u64>) {
        self.fake.complete(vcpu, read);
    }

    fn notify(&mut self, vcpu: usize) {
        self.fake.notify(vcpu);
    }

    fn read_guest(&mut self, address: u64, data: &mut [u8]) -> Result<(), Errno> {
        self.fake.read_guest(address, data)
    }

    fn write_guest(&mut self, address: u64, data: &[u8]) -> Result<(), Errno> {
        self.fake.write_guest(address, data)
    }
}

/// The part of the test below that goes into the sandbox, and cannot leave it.
#[test]
#[ignore = "it is run by another test, in a process of its own"]
fn in_a_process_of_its_own() {
    let sandbox = Sandbox::prepare().unwrap();
    let (seen, see) = channel();
    // The request is pending, as one is whose server has died of it.
    let fake = Fake::new(vec![vec![config(0x18, 0, 4, None)]]);
    let hypervisor = Watched {
        fake: fake.clone(),
        status: Some(File::open("/proc/self/status").unwrap()),
        seen,
    };
    let (machine, left) = fake.machine();
    let devices = |_| Ok((machine, left, ()));
    let ((), mut request_thread) = start_request_thread(sandbox, hypervisor, devices).unwrap();
    let status = see.recv().unwrap();
    request_thread.read_exact(&mut [0]).unwrap();
    assert_eq!(fake.answers(), [[Some(0x1111_1af4)]]);
    std::io::stdout().write_all(status.as_bytes()).unwrap();
    std::process::exit(0);
}

#[test]
fn no_request_is_looked_at_outside_of_it() {
    let test = "tests::sandboxed::in_a_process_of_its_own";
    for _ in 0..5 {
        let output = Command::new(env::current_exe().unwrap())
            .args([test, "--exact", "--ignored", "--nocapture"])
            .output()
            .unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        let log = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{} {said} {log}", output.status);
        for line in ["NoNewPrivs:\t1", "Seccomp:\t2"] {
            assert!(said.lines().any(|it| it == line), "{said}");
        }
    }
}
