//! A driver and its channel, on a device that is a thread of this test.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use vgpu_abi::bar0::{ABI, ACK, COMMAND, DRIVER, EVENTS, MAGIC, STATE};
use vgpu_abi::features::{SEGMENT_ADDRESS, driver, event, state};
use vgpu_abi::mailbox::{self, code};
use vgpu_direct::fake::Fake;
use vgpu_direct::{Channel, Driver, Error, Interrupt, Registers};
use vgpu_ring::Memory;
use vgpu_ring::echo;
use vgpu_ring::layout::SLICE_SIZE;
use vgpu_terminal::Failure;

const SOON: Duration = Duration::from_millis(20);

fn start(fake: &Fake) -> Result<Driver<&Fake>, Failure> {
    let directory = fake.pages(Driver::<&Fake>::DIRECTORY);
    Driver::start(fake, directory, Interrupt::default(), SOON)
}

#[test]
fn features_are_settled_and_reset_at_the_end() {
    let fake = Fake::ready();
    let driver = start(&fake).unwrap();
    assert_eq!(fake.read(DRIVER), driver::RUN);
    assert_eq!(u64::from(fake.read(ACK)), SEGMENT_ADDRESS);
    assert_eq!(
        (driver.abi(), driver.channels(), driver.pinned_max()),
        ((1, 0), 64, 1024)
    );
    drop(driver);
    assert_eq!(fake.read(DRIVER), driver::RESET);
}

#[test]
fn a_device_that_cannot_be_used_says_why() {
    let refused = |fake: &Fake| start(fake).unwrap_err().cause;
    let with = |offset, value| {
        let fake = Fake::ready();
        fake.put(offset, value);
        refused(&fake)
    };
    for (cause, wanted) in [
        (with(MAGIC, 0), "has no features"),
        (with(MAGIC, u32::MAX), "does not answer"),
        (with(MAGIC, 1), "unknown mark (0x00000001)"),
        (with(ABI, 2 << 16), "is of version 2"),
        (refused(&Fake::new(0, state::READY)), "takes no memory"),
        (
            refused(&Fake::new(SEGMENT_ADDRESS, state::NO_DAEMON)),
            "no daemon",
        ),
        (
            refused(&Fake::new(SEGMENT_ADDRESS, state::LOST)),
            "lost its daemon",
        ),
    ] {
        assert!(cause.contains(wanted), "{wanted}: {cause}");
    }
    // What was begun is let go of.
    let fake = Fake::new(SEGMENT_ADDRESS, state::LOST);
    assert!(start(&fake).is_err());
    assert_eq!(fake.read(DRIVER), driver::RESET);
}

#[test]
fn a_mailbox_answers_or_says_why_not() {
    let fake = Fake::ready();
    let driver = start(&fake).unwrap();
    let mailbox = driver.mailbox();
    for length in [0, 1, 4, 7, 900] {
        let sent: Vec<u8> = (0..length).map(|n| n as u8).collect();
        assert_eq!(mailbox.call(mailbox::ECHO, &sent), Ok(sent));
    }
    assert_eq!(mailbox.call(mailbox::ECHO, &[0; 993]), Err(Error::TooLong));
    let absent = Error::Refused {
        command: mailbox::CHANNEL_CLOSE,
        code: code::ABSENT,
    };
    assert_eq!(mailbox.close(7), Err(absent));
    assert_eq!(
        absent.to_string(),
        "CHANNEL_CLOSE failed: there is no such channel or region any more (code 4)"
    );
    let request = mailbox.post(mailbox::ECHO, &[1]).unwrap();
    assert_eq!(mailbox.post(mailbox::ECHO, &[2]), Err(Error::Busy));
    // A command that is written all the same is none.
    fake.write(COMMAND, mailbox::INFO);
    assert_eq!(mailbox.answer(mailbox::ECHO, request), Ok(vec![1]));
    // The answer to another command is no answer.
    let request = mailbox.post(mailbox::ECHO, &[1]).unwrap();
    assert_eq!(
        mailbox.answer(mailbox::ECHO, request + 1),
        Err(Error::Malformed(mailbox::ECHO))
    );
}

#[test]
fn a_channel_carries_records_and_reaches_its_regions() {
    let fake = Fake::ready();
    let mut driver = start(&fake).unwrap();
    let channel = driver.open(fake.pages(SLICE_SIZE)).unwrap();
    // In so many pieces that the directory has several pages.
    let region = driver.add(channel, fake.pages(8 << 20)).unwrap();
    {
        let mut ring = Channel::new(&driver, channel).unwrap();
        let number = ring.call(echo::ECHO, 5, &[7, 8]).unwrap();
        let answer = ring.answer(5, number).unwrap();
        assert_eq!(
            (answer.status, answer.inline()),
            (0, [7_u64, 8].map(u64::to_le_bytes).as_flattened())
        );

        let window = driver.window(channel, region).unwrap();
        window.words()[513].store(1, Ordering::Relaxed);
        let [region, offset, length] = echo::Range::payload(region, 512 * 8, 24);
        let number = ring.call(echo::HASH, 0, &[region, offset, length]).unwrap();
        let answer = ring.answer(0, number).unwrap();
        assert_eq!(answer.inline(), echo::hash([0, 1, 0]).to_le_bytes());

        let number = ring
            .call(echo::FILL, 0, &[region, offset, length, 3])
            .unwrap();
        assert_eq!(ring.answer(0, number).unwrap().status, 0);
        let filled = |n: usize| window.words()[n].load(Ordering::Relaxed);
        assert_eq!(
            [511, 512, 514, 515].map(filled),
            [0, echo::word(3, 512), echo::word(3, 514), 0]
        );
        assert_eq!(ring.answer_within(SOON, 1, 77).unwrap(), None);
    }
    driver.delete(channel, region).unwrap();
    assert!(driver.delete(channel, region).is_err());
    assert_eq!(fake.open_channels(), 1);
    driver.close(channel).unwrap();
    assert!(driver.window(channel, 0).is_none());
    assert_eq!(fake.open_channels(), 0);
}

#[test]
fn a_channel_that_is_over_is_not_waited_for() {
    for (register, value, why) in [
        (STATE, state::LOST, "the device's host is gone (STATE 3)"),
        (EVENTS, event::CHANNEL, "a channel's worker has ended"),
        (DRIVER, driver::RESET, "the device was reset"),
    ] {
        let fake = Fake::ready();
        let mut driver = start(&fake).unwrap();
        let channel = driver.open(fake.pages(SLICE_SIZE)).unwrap();
        let ring = Channel::new(&driver, channel).unwrap();
        match register {
            STATE => fake.set_state(value),
            _ => fake.put(register, value),
        }
        let since = Instant::now();
        let failure = ring.answer(0, 77).unwrap_err().to_string();
        assert!(failure.ends_with(why), "{failure}");
        assert!(since.elapsed() < Duration::from_secs(2), "{failure}");
    }
}

#[test]
fn no_channel_is_left_open() {
    let fake = Fake::ready();
    let mut driver = start(&fake).unwrap();
    driver.open(fake.pages(SLICE_SIZE)).unwrap();
    drop(driver);
    assert_eq!(fake.open_channels(), 0);
}
