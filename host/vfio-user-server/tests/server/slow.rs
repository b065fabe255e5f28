//! Clients that take their time: for a message that they have begun there is a
//! limit, for the next one there is none.

use std::thread;
use std::time::{Duration, Instant};

use vfio_user_server::{Broken, MESSAGE_LIMIT};

use crate::raw::{CAPABILITIES, RESET, Raw, VERSION, message, version};
use crate::scratch::Shared;

const MARGIN: Duration = Duration::from_secs(3);

#[test]
fn a_message_is_finished_in_time_or_the_connection_ends() {
    let proposal = message(0, VERSION, 0, &version(0, CAPABILITIES));
    let device = Shared::new();
    let mut ended = Vec::new();
    for (begun, sent) in [(false, 0), (false, 1), (false, 20), (true, 1), (true, 15)] {
        let connect = if begun { Raw::begin } else { Raw::connect };
        let (mut raw, serving) = connect(&device);
        raw.send(&proposal[..sent]);
        let started = Instant::now();
        ended.push(thread::spawn(move || {
            raw.is_closed();
            assert_eq!(serving.end(), Err(Broken::Slow(MESSAGE_LIMIT)));
            let took = started.elapsed();
            let expected = MESSAGE_LIMIT - Duration::from_millis(100)..MESSAGE_LIMIT + MARGIN;
            assert!(expected.contains(&took), "{begun} {sent}: {took:?}");
        }));
    }
    // One that sends a byte now and then gains nothing by it.
    let (mut raw, serving) = Raw::begin(&device);
    let started = Instant::now();
    let mut bytes = message(0, RESET, 0, &[0; 1000]).into_iter();
    while !serving.stop.client_has_left() {
        assert!(started.elapsed() < MESSAGE_LIMIT + MARGIN);
        let _ = std::io::Write::write(&mut raw.stream, &[bytes.next().unwrap()]);
        thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(serving.end(), Err(Broken::Slow(MESSAGE_LIMIT)));
    ended.into_iter().for_each(|thread| thread.join().unwrap());
}

/// A VM may be paused for hours, and says nothing then.
#[test]
fn between_messages_there_is_no_limit() {
    let device = Shared::new();
    let (mut raw, serving) = Raw::begin(&device);
    thread::sleep(MESSAGE_LIMIT + Duration::from_secs(1));
    raw.is_served();
    drop(raw);
    assert_eq!(serving.end(), Ok(()));
}
