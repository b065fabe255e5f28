//! `vgpu ping`: in a guest without a driver, tries a device's shared memory, ring and doorbells.

mod measure;
mod parks;
mod progress;
mod report;
mod size;
mod streams;

use std::process::ExitCode;
use std::time::Duration;

use vgpu_direct::{
    Channel, Device, Driver, HUGE, Interrupt, Pages, Registers, keep_locked_pages,
    reserve_huge_pages,
};
use vgpu_ring::layout::SLICE_SIZE;
use vgpu_terminal::{Failure, json, print};

use progress::Progress;
use report::{Found, Report};

const EXAMPLES: &str = "\
Examples:
  vgpu ping                                  the only virtual GPU of this guest
  vgpu ping --device 0000:00:04.0 --json     this one, for a program
  vgpu ping --parks 10000 --bytes 100G       for longer
  vgpu ping --bytes 0 --parks 0              round trips alone

It needs root, no driver, and a device with features=on whose host runs vgpud. Memory comes from
huge pages, which it reserves where there are too few, and gives back; else from small ones.

Streams: MiB/s is from the first record to the last answer; what this side writes and checks is not
in it. Doorbells are rung where the host sleeps: while records flow, it should not.

JSON: times are nanoseconds; a batch is the round trips of one reading of the clock. What was not
asked for is null, and bare too where the host does not know it.

Exit code: 0 if all is well, 1 if data was wrong or a wake-up was late, 2 if it could not be tried,
128 and the signal's number if it was interrupted. The device is let go of in each case.";

/// Try the shared memory of a virtual GPU, in a guest without a driver
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Which device, as lspci -D prints it
    #[arg(long, value_name = "ADDRESS")]
    device: Option<String>,

    /// Round trips to measure
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(..=10_000_000))]
    count: u64,

    /// Bytes to send in each direction, such as 512M
    #[arg(long, default_value = "1G", value_parser = size::parse)]
    bytes: u64,

    /// Memory to send them through: a multiple of 2M
    #[arg(long, default_value = "64M", value_parser = size::of_region)]
    region: u64,

    /// How often to let the host sleep, and wake it
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u64).range(..=10_000_000))]
    parks: u64,

    /// Seconds to wait until the device's host is ready
    #[arg(long, value_name = "SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u64).range(..=3600))]
    wait: u64,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let interrupt = Interrupt::catch()?;
    let device = Device::open(args.device.as_deref())?;
    let address = device.address().to_owned();
    let region = args.region as usize;
    let _locked = keep_locked_pages();
    // The slice, the region, and the directory.
    let _reserved = reserve_huge_pages(SLICE_SIZE + region + HUGE);
    let directory = Pages::new(Driver::<Device>::DIRECTORY)?;
    let mut driver = Driver::start(device, directory, interrupt, Duration::from_secs(args.wait))?;
    let channel = driver.open(Pages::new(SLICE_SIZE)?)?;
    let region = driver.add(channel, Pages::new(region)?)?;
    let found = measure(&driver, (channel, region), args)?;
    driver.check_pages()?;
    let (abi, channels, pinned_max) = (driver.abi(), driver.channels(), driver.pinned_max());
    let report = Report {
        device: address,
        abi: format!("{}.{}", abi.0, abi.1),
        channels,
        pinned_max_mib: pinned_max,
        region_bytes: args.region,
        huge_pages: driver.is_huge(),
        found,
    };
    driver.close(channel)?;
    driver.end()?;
    print("the report", |out| match args.json {
        true => json(out, &report),
        false => report.write(out),
    })?;
    Ok(ExitCode::from(u8::from(!report.found.is_well())))
}

/// Tries a channel that was just opened, and a region of it.
fn measure<R: Registers>(
    driver: &Driver<R>,
    (channel, region): (u32, u32),
    args: &Args,
) -> Result<Found, Failure> {
    let mut ring = Channel::new(driver, channel)?;
    let window = driver.window(channel, region);
    let window = window.ok_or_else(|| ring.lost("the region is not there"))?;
    let mut progress = Progress::new();
    let (echo, bare) = match args.count {
        0 => (None, None),
        count => {
            let echo = measure::round_trips(&mut ring, count, &mut progress)?;
            let bare = measure::bare(&mut ring, count, &mut progress)?;
            (Some(echo), bare)
        }
    };
    let streams = match args.bytes {
        0 => None,
        bytes => Some((
            streams::to_host(&mut ring, (region, window), bytes, &mut progress)?,
            streams::to_guest(&mut ring, (region, window), bytes, &mut progress)?,
        )),
    };
    let parks = match args.parks {
        0 => None,
        parks => Some(parks::wake(&mut ring, parks, &mut progress)?),
    };
    let (to_host, to_guest) = streams.unzip();
    let ratio = echo.as_ref().zip(bare.as_ref());
    Ok(Found {
        ratio: ratio.map(|(echo, bare)| echo.p50_ns as f64 / bare.p50_ns.max(1) as f64),
        echo,
        bare,
        to_host,
        to_guest,
        parks,
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use vgpu_direct::fake::Fake;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        args: Args,
    }

    fn ping(words: &str) -> Found {
        ping_on(&Fake::ready(), words)
    }

    fn ping_on(fake: &Fake, words: &str) -> Found {
        let args = Cli::parse_from(words.split_whitespace()).args;
        let directory = fake.pages(Driver::<&Fake>::DIRECTORY);
        let patience = Duration::from_secs(5);
        let mut driver = Driver::start(fake, directory, Interrupt::default(), patience).unwrap();
        let channel = driver.open(fake.pages(SLICE_SIZE)).unwrap();
        let region = driver
            .add(channel, fake.pages(args.region as usize))
            .unwrap();
        measure(&driver, (channel, region), &args).unwrap()
    }

    #[test]
    fn a_host_that_does_all_right_is_well() {
        let found = ping("ping --count 1000 --bytes 5M --region 2M --parks 3");
        assert!(found.is_well(), "{found:?}");
        let (echo, bare) = (found.echo.unwrap(), found.bare.unwrap());
        assert!(echo.p50_ns > 0 && echo.p50_ns <= echo.p99_ns, "{echo:?}");
        assert!(bare.p50_ns > 0 && bare.count >= 900, "{bare:?}");
        assert!(found.ratio.unwrap() > 0.0);
        let (to_host, to_guest) = (found.to_host.unwrap(), found.to_guest.unwrap());
        assert_eq!((to_host.records, to_host.bytes), (20, 5 << 20));
        assert_eq!((to_guest.records, to_guest.bytes), (160, 5 << 20));
        let parks = found.parks.unwrap();
        assert_eq!((parks.count, parks.late), (3, 0));
    }

    #[test]
    fn a_wake_up_that_is_lost_is_late() {
        let fake = Fake::ready();
        fake.lose_doorbells(1);
        let found = ping_on(&fake, "ping --count 0 --bytes 0 --parks 2 --region 2M");
        assert!(!found.is_well());
        let parks = found.parks.unwrap();
        assert_eq!((parks.count, parks.late), (2, 1));
        assert!(parks.p99_ns >= 1_000_000_000, "{parks:?}");
    }

    #[test]
    fn a_host_that_gives_up_on_the_bare_line_has_measured_what_it_did() {
        let fake = Fake::ready();
        fake.give_up_after(40);
        let words = "ping --count 1000 --bytes 0 --parks 0 --region 2M";
        let found = ping_on(&fake, words);
        let bare = found.bare.as_ref().unwrap();
        assert!((200..1000).contains(&bare.count), "{bare:?}");
        assert!(found.is_well() && found.ratio.is_some());
    }

    #[test]
    fn what_is_not_asked_for_is_not_done() {
        let found = ping("ping --count 0 --bytes 0 --parks 0 --region 2M");
        let text = serde_json::to_value(&found).unwrap();
        for name in ["echo", "bare", "ratio", "to_host", "to_guest", "parks"] {
            assert!(text[name].is_null(), "{name}: {text}");
        }
    }
}
