//! The host waits at points of its commands until the guest lets it go on.

mod common;

use std::convert::Infallible;
use std::sync::atomic::AtomicU64;
use std::sync::{Condvar, Mutex};
use std::thread;

use common::LAYOUT;
use vgpu_ring::guest::Answers;
use vgpu_ring::host::Host;
use vgpu_ring::wait::Looks;
use vgpu_ring::{Park, Slice, Wake};
use zerocopy::FromZeros;

/// Counts its rings.
#[derive(Default)]
struct Bell(Mutex<u64>, Condvar);

impl Wake for Bell {
    fn wake(&self) {
        *self.0.lock().unwrap() += 1;
        self.1.notify_all();
    }
}

impl Park for Bell {
    type Ticket = u64;
    type Lost = Infallible;

    fn ticket(&self) -> u64 {
        *self.0.lock().unwrap()
    }

    fn park(&self, ticket: u64) -> Result<(), Infallible> {
        let rings = self.0.lock().unwrap();
        drop(self.1.wait_while(rings, |rings| *rings == ticket).unwrap());
        Ok(())
    }
}

#[test]
fn each_point_is_reached_and_left_in_turn() {
    const POINTS: u64 = if cfg!(miri) { 5 } else { 500 };
    let memory = AtomicU64::new_vec_zeroed((LAYOUT.arena + 4096) / 8).unwrap();
    let slice = Slice::new(memory.as_slice(), &LAYOUT).unwrap();
    let (of_host, of_guest) = (Bell::default(), Bell::default());
    let seen = Mutex::new(Vec::new());
    let host = Host::new(slice, &of_guest);
    thread::scope(|scope| {
        scope.spawn(|| {
            for point in 1..=POINTS {
                seen.lock().unwrap().push(("before", point));
                let Ok(()) = host.answers().hold(point, &of_host, Looks(2));
                seen.lock().unwrap().push(("after", point));
            }
        });
        let answers = Answers::new(slice);
        for point in 1..=POINTS {
            let Ok(()) = answers.reach(point, &of_guest, Looks(2));
            seen.lock().unwrap().push(("there", point));
            answers.release(point, &of_host);
        }
    });
    let turns = |point| ["before", "there", "after"].map(|what| (what, point));
    let expected: Vec<_> = (1..=POINTS).flat_map(turns).collect();
    assert!(seen.into_inner().unwrap() == expected);
}
