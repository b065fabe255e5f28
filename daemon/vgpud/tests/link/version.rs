//! Guests whose library speaks another version of the session than the worker.

use vgpu_ring::Memory as _;
use vgpu_ring::echo::ECHO;
use vgpu_ring::layout::{GUEST_VERSION, SESSION_ABI};
use vgpu_ring::version::Half;

use crate::emulator::{Daemon, Emulator};
use crate::within_a_second;

/// `CUDA_ERROR_SYSTEM_DRIVER_MISMATCH`
const MISMATCH: i32 = 803;

/// The guest knows before it sends anything, and the host before it does anything.
#[test]
fn another_version_of_the_session_is_refused_by_both_with_a_line() {
    let daemon = Daemon::start();
    let mut emulator = Emulator::attach(&daemon);
    let mut other = emulator.open(9);
    for (channel, version) in [
        (1, None),
        (2, Some(SESSION_ABI - 1)),
        (3, Some(SESSION_ABI + 1)),
        (4, Some(u32::MAX)),
    ] {
        let mut guest = emulator.open(channel);
        let (slice, fault) = guest.slice();
        assert_eq!(Half::Host.stated(slice), Some(SESSION_ABI), "said at once");
        assert_eq!(fault, None);
        match version {
            Some(version) => Half::Guest.state(slice, version),
            None => assert!(slice.write(GUEST_VERSION, &[0; 8])),
        }
        assert!(guest.sends(ECHO, &[0; 6], &[]));
        within_a_second("a fault", || guest.slice().1 == Some(MISMATCH));
        let said = format!(
            "the guest's libcuda.so.1 speaks version {} of the session, this worker {SESSION_ABI}",
            version.unwrap_or(0)
        );
        within_a_second("a line", || daemon.log().contains(&said));
        while !emulator.lost.contains(&channel) {
            assert!(emulator.hear(std::time::Duration::from_secs(10)), "lost");
        }
    }
    other.echoes();
    emulator.open(1).echoes();
}
