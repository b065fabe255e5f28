//! What was found, for people and for programs.

use std::io::{self, Write};

use serde::Serialize;

/// More than this many times the bare line's, and a round trip is slower than it should be.
const BOUND: u32 = 4;

#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) device: String,
    pub(super) abi: String,
    pub(super) channels: u16,
    pub(super) pinned_max_mib: u32,
    pub(super) region_bytes: u64,
    pub(super) huge_pages: bool,
    #[serde(flatten)]
    pub(super) found: Found,
}

#[derive(Debug, Serialize)]
pub(super) struct Found {
    pub(super) echo: Option<Times>,
    pub(super) bare: Option<Times>,
    /// Of the medians.
    pub(super) ratio: Option<f64>,
    pub(super) to_host: Option<Stream>,
    pub(super) to_guest: Option<Stream>,
    pub(super) parks: Option<Parks>,
}

#[derive(Debug, Serialize)]
pub(super) struct Times {
    pub(super) count: u64,
    pub(super) batch: u64,
    pub(super) p50_ns: u64,
    pub(super) p99_ns: u64,
}

#[derive(Debug, Serialize)]
pub(super) struct Stream {
    pub(super) bytes: u64,
    pub(super) records: u64,
    /// Records whose data was not as it should be.
    pub(super) wrong: u64,
    pub(super) mib_per_s: f64,
    pub(super) doorbells: u64,
}

#[derive(Debug, Serialize)]
pub(super) struct Parks {
    pub(super) count: u64,
    /// Of them, how many took longer than a second.
    pub(super) late: u64,
    pub(super) p50_ns: u64,
    pub(super) p99_ns: u64,
}

impl Times {
    /// Of samples, each the mean of a batch.
    pub(super) fn new(mut samples: Vec<u64>, batch: u64) -> Self {
        samples.sort_unstable();
        let at = |percent: usize| {
            samples
                .get(samples.len() * percent / 100)
                .copied()
                .unwrap_or_default()
        };
        Self {
            count: samples.len() as u64 * batch,
            batch,
            p50_ns: at(50),
            p99_ns: at(99),
        }
    }
}

impl Found {
    /// Whether all data was right, and no wake-up late.
    pub(super) fn is_well(&self) -> bool {
        let streams = [&self.to_host, &self.to_guest];
        streams.into_iter().flatten().all(|it| it.wrong == 0)
            && self.parks.as_ref().is_none_or(|it| it.late == 0)
    }
}

impl Report {
    pub(super) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let Self {
            device,
            abi,
            channels,
            pinned_max_mib,
            ..
        } = self;
        let pages = match self.huge_pages {
            true => "huge pages",
            false => "small pages, which the kernel may move",
        };
        writeln!(
            out,
            "device        {device}, version {abi}, {channels} channels, {pinned_max_mib} MiB at most"
        )?;
        writeln!(
            out,
            "memory        a region of {} MiB, in {pages}",
            self.region_bytes >> 20
        )?;
        let found = &self.found;
        for (name, times) in [("round trip", &found.echo), ("bare line", &found.bare)] {
            if let Some(it) = times {
                let (p50, p99) = (micros(it.p50_ns), micros(it.p99_ns));
                writeln!(out, "{name:<12}  p50 {p50}, p99 {p99}; {} times", it.count)?;
            }
        }
        match (found.ratio, &found.echo) {
            (Some(ratio), _) => {
                writeln!(out, "ratio         {ratio:.2}; at most {BOUND} is expected")?;
            }
            (None, Some(_)) => writeln!(out, "bare line     not known to this host")?,
            (None, None) => {}
        }
        for (name, stream) in [
            ("to the host", &found.to_host),
            ("to the guest", &found.to_guest),
        ] {
            if let Some(it) = stream {
                let (mib, rate) = (it.bytes >> 20, it.mib_per_s);
                let data = match it.wrong {
                    0 => "all right".to_owned(),
                    wrong => format!("{wrong} WRONG"),
                };
                let Stream {
                    records, doorbells, ..
                } = it;
                writeln!(
                    out,
                    "{name:<12}  {mib} MiB, {rate:.0} MiB/s; {records} records, {data}; {doorbells} doorbells"
                )?;
            }
        }
        match &found.parks {
            Some(Parks { count: 0, .. }) => {
                writeln!(out, "wake-ups      none: the host does not sleep")
            }
            Some(it) => {
                let (p50, p99) = (micros(it.p50_ns), micros(it.p99_ns));
                writeln!(
                    out,
                    "wake-ups      {}, of them {} late; p50 {p50}, p99 {p99}",
                    it.count, it.late
                )
            }
            None => Ok(()),
        }
    }
}

fn micros(nanoseconds: u64) -> String {
    format!("{:.2} us", nanoseconds as f64 / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let times = |p50_ns| Times::new(vec![p50_ns; 10], 1);
        let stream = |wrong| Stream {
            bytes: 1 << 30,
            records: 4096,
            wrong,
            mib_per_s: 2048.4,
            doorbells: 2,
        };
        Report {
            device: "0000:00:04.0".into(),
            abi: "1.0".into(),
            channels: 64,
            pinned_max_mib: 1024,
            region_bytes: 64 << 20,
            huge_pages: true,
            found: Found {
                echo: Some(times(530)),
                bare: Some(times(250)),
                ratio: Some(2.12),
                to_host: Some(stream(0)),
                to_guest: Some(stream(3)),
                parks: Some(Parks {
                    count: 200,
                    late: 1,
                    p50_ns: 80_000,
                    p99_ns: 1_000_000_000,
                }),
            },
        }
    }

    #[test]
    fn it_reads_as_text() {
        let mut text = Vec::new();
        report().write(&mut text).unwrap();
        let expected = "\
device        0000:00:04.0, version 1.0, 64 channels, 1024 MiB at most
memory        a region of 64 MiB, in huge pages
round trip    p50 0.53 us, p99 0.53 us; 10 times
bare line     p50 0.25 us, p99 0.25 us; 10 times
ratio         2.12; at most 4 is expected
to the host   1024 MiB, 2048 MiB/s; 4096 records, all right; 2 doorbells
to the guest  1024 MiB, 2048 MiB/s; 4096 records, 3 WRONG; 2 doorbells
wake-ups      200, of them 1 late; p50 80.00 us, p99 1000000.00 us
";
        assert_eq!(String::from_utf8(text).unwrap(), expected);
    }

    #[test]
    fn its_json_is_as_the_help_says() {
        let value = serde_json::to_value(report()).unwrap();
        assert_eq!(value["device"], "0000:00:04.0");
        assert_eq!(
            value["echo"],
            serde_json::json!({"count": 10, "batch": 1, "p50_ns": 530, "p99_ns": 530})
        );
        assert_eq!(value["to_guest"]["wrong"], 3);
        assert_eq!(value["parks"]["late"], 1);
    }

    #[test]
    fn what_is_wrong_or_late_is_not_well() {
        let mut found = report().found;
        assert!(!found.is_well());
        found.parks = None;
        assert!(!found.is_well());
        found.to_guest = None;
        assert!(found.is_well());
    }

    #[test]
    fn a_percentile_is_a_sample() {
        let times = Times::new((1..=200).rev().collect(), 32);
        assert_eq!((times.p50_ns, times.p99_ns, times.count), (101, 199, 6400));
        assert_eq!(Times::new(Vec::new(), 1).p99_ns, 0);
    }
}
