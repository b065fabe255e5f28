//! What is told, as Prometheus' text.

use std::collections::BTreeMap;
use std::fmt::Write;

use uuid::Uuid;
use vgpu_gate::Times;

use super::status::{EngineStatus, MachineStatus, SessionState, Status};

/// A metric of a machine: its name, type, what it says, and its value.
type Metric = (
    &'static str,
    &'static str,
    &'static str,
    fn(&MachineStatus) -> f64,
);

/// DCGM's names where it has one for it: of a virtual GPU they say what a GPU's would.
const METRICS: [Metric; 20] = [
    (
        "DCGM_FI_DEV_FB_USED",
        "gauge",
        "Device memory that is used, in MiB.",
        |it| mebibytes(it.memory_used),
    ),
    (
        "DCGM_FI_DEV_FB_FREE",
        "gauge",
        "Device memory of the quota that is free, in MiB.",
        |it| {
            it.memory_quota.map_or(f64::NAN, |quota| {
                mebibytes(quota.saturating_sub(it.memory_used))
            })
        },
    ),
    (
        "vgpu_engine_seconds_total",
        "counter",
        "Time that an engine worked for it.",
        |it| seconds(it.work.engine_ns),
    ),
    (
        "vgpu_wait_seconds_total",
        "counter",
        "Time that its sessions waited for an engine.",
        |it| seconds(it.work.wait_ns),
    ),
    (
        "vgpu_waits_total",
        "counter",
        "Times that its sessions waited for an engine.",
        |it| it.work.waits as f64,
    ),
    (
        "vgpu_launches_total",
        "counter",
        "Kernels launched.",
        |it| it.work.launches as f64,
    ),
    ("vgpu_copies_total", "counter", "Copies and fills.", |it| {
        it.work.copies as f64
    }),
    (
        "vgpu_bytes_to_device_total",
        "counter",
        "Bytes copied to the device.",
        |it| it.work.bytes_in as f64,
    ),
    (
        "vgpu_bytes_from_device_total",
        "counter",
        "Bytes copied from the device.",
        |it| it.work.bytes_out as f64,
    ),
    (
        "vgpu_bytes_within_device_total",
        "counter",
        "Bytes copied and filled within the device.",
        |it| it.work.bytes_inside as f64,
    ),
    (
        "vgpu_errors_total",
        "counter",
        "Launches and copies that failed.",
        |it| it.work.errors as f64,
    ),
    (
        "vgpu_queued_bytes",
        "gauge",
        "Bytes of commands that wait in its sessions' rings.",
        |it| it.work.queued_bytes as f64,
    ),
    (
        "vgpu_pinned_bytes",
        "gauge",
        "Bytes of its memory that its sessions share, and that so stay in place.",
        |it| it.pinned as f64,
    ),
    (
        "vgpu_pinned_quota_bytes",
        "gauge",
        "Bytes of its memory that its sessions may share.",
        |it| it.pinned_quota as f64,
    ),
    (
        "vgpu_resets_total",
        "counter",
        "Sessions that the watchdog ended.",
        |it| it.resets as f64,
    ),
    ("vgpu_sessions", "gauge", "Sessions.", |it| {
        it.sessions.len() as f64
    }),
    (
        "vgpu_sessions_waiting",
        "gauge",
        "Sessions that wait for an engine.",
        |it| {
            it.sessions
                .iter()
                .filter(|it| it.state == SessionState::Waits)
                .count() as f64
        },
    ),
    (
        "vgpu_sessions_ended_total",
        "counter",
        "Sessions that are over.",
        |it| it.sessions_ended as f64,
    ),
    (
        "vgpu_weight",
        "gauge",
        "Its part of an engine, relative to others.",
        |it| f64::from(it.weight),
    ),
    (
        "vgpu_quarantined",
        "gauge",
        "1 where it gets no engine.",
        |it| f64::from(u8::from(it.quarantined)),
    ),
];

/// What part of a while a machine kept its engines busy, by its name in DCGM: in percent, as there.
const UTILISATION: (&str, &str) = (
    "DCGM_FI_DEV_GPU_UTIL",
    "Time that the engines of its pool worked for it, in percent of the time since this was last asked for, or the time before.",
);

/// A counter of an engine: its name, what it says, and its value.
type OfEngine = (&'static str, &'static str, fn(&EngineStatus) -> f64);

const ENGINES: [OfEngine; 2] = [
    (
        "vgpu_engine_busy_seconds_total",
        "Time that an engine worked.",
        |it| seconds(it.engine_ns),
    ),
    (
        "vgpu_engine_switches_total",
        "Times that an engine went from one session to another.",
        |it| it.switches as f64,
    ),
];

fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / 1_048_576.0
}

fn seconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e9
}

/// The classes of times that Prometheus is given, in nanoseconds.
const CLASSES: [u64; 16] = [
    10_000,
    20_000,
    50_000,
    100_000,
    200_000,
    500_000,
    1_000_000,
    2_000_000,
    5_000_000,
    10_000_000,
    20_000_000,
    50_000_000,
    100_000_000,
    1_000_000_000,
    10_000_000_000,
    100_000_000_000,
];

/// Prometheus' text format, version 0.0.4.
pub(super) fn prometheus(
    status: &Status,
    times: &[(Uuid, Times, Times)],
    utilisation: &BTreeMap<Uuid, f64>,
) -> String {
    let mut text = String::new();
    let mut line = |line: std::fmt::Arguments<'_>| {
        // A string takes all.
        let _ = writeln!(text, "{line}");
    };
    for (name, kind, help, value) in METRICS {
        line(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}"));
        for machine in &status.machines {
            let value = value(machine);
            if value.is_finite() {
                let (uuid, pool) = (machine.machine, label(&machine.pool));
                line(format_args!(
                    "{name}{{vm=\"{uuid}\",pool=\"{pool}\"}} {value}"
                ));
            }
        }
    }
    let (name, help) = UTILISATION;
    line(format_args!("# HELP {name} {help}\n# TYPE {name} gauge"));
    for machine in &status.machines {
        if let Some(part) = utilisation.get(&machine.machine) {
            let (uuid, pool) = (machine.machine, label(&machine.pool));
            let percent = part * 100.0;
            line(format_args!(
                "{name}{{vm=\"{uuid}\",pool=\"{pool}\"}} {percent:.1}"
            ));
        }
    }
    for (name, help, value) in ENGINES {
        line(format_args!("# HELP {name} {help}\n# TYPE {name} counter"));
        for engine in &status.engines {
            let (its, kind, value) = (label(&engine.name), &engine.kind, value(engine));
            line(format_args!(
                "{name}{{engine=\"{its}\",kind=\"{kind}\"}} {value}"
            ));
        }
    }
    for (name, help, pick) in [
        (
            "vgpu_latency_seconds",
            "From when a launch or copy was taken up until it was done.",
            0,
        ),
        ("vgpu_lease_wait_seconds", "Waits for a lease.", 1),
    ] {
        line(format_args!(
            "# HELP {name} {help}\n# TYPE {name} histogram"
        ));
        for (uuid, latency, wait) in times {
            let times = if pick == 0 { latency } else { wait };
            for class in CLASSES {
                let (count, le) = (times.up_to(class), seconds(class));
                line(format_args!(
                    "{name}_bucket{{vm=\"{uuid}\",le=\"{le}\"}} {count}"
                ));
            }
            let count = times.count();
            line(format_args!(
                "{name}_bucket{{vm=\"{uuid}\",le=\"+Inf\"}} {count}"
            ));
            let work = status.machines.iter().find(|it| it.machine == *uuid);
            let waited = work.map_or(0, |it| it.work.wait_ns);
            let worked = work.map_or(0, |it| it.work.engine_ns);
            let sum = if pick == 0 {
                waited.saturating_add(worked)
            } else {
                waited
            };
            let sum = seconds(sum);
            line(format_args!(
                "{name}_sum{{vm=\"{uuid}\"}} {sum}\n{name}_count{{vm=\"{uuid}\"}} {count}"
            ));
        }
    }
    text
}

/// A label's value.
fn label(value: &str) -> String {
    let escaped = value.replace('\\', "\\\\").replace('"', "\\\"");
    escaped.replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use vgpu_sched::Priority;

    use super::super::status::Work;
    use super::*;

    fn status() -> Status {
        let work = Work {
            launches: 3,
            engine_ns: 1_500_000_000,
            wait_ns: 500_000_000,
            queued_bytes: 640,
            ..Work::default()
        };
        let machine = MachineStatus {
            machine: Uuid::nil(),
            pool: "a \"b\"\\\n".to_owned(),
            weight: 100,
            priority: Priority::High,
            quarantined: true,
            memory_used: 3 << 20,
            memory_quota: Some(8 << 20),
            sessions_most: 64,
            workers_user: Some(7),
            pinned: 8192,
            pinned_quota: 1 << 20,
            resets: 0,
            sessions_ended: 2,
            work,
            sessions: Vec::new(),
        };
        let engine = EngineStatus {
            name: "one".to_owned(),
            kind: "cpu".to_owned(),
            sessions: 0,
            engine_ns: 2_000_000_000,
            switches: 5,
        };
        Status {
            up_ns: 1,
            engines: vec![engine],
            machines: vec![machine],
            workers: None,
        }
    }

    #[test]
    fn the_text_is_prometheus() {
        let mut times = Times::default();
        for time in [15_000, 15_000, 3_000_000] {
            times.add(time);
        }
        let nil = Uuid::nil();
        let utilisation = [(nil, 0.75)].into();
        let text = prometheus(&status(), &[(nil, times, Times::default())], &utilisation);
        for expected in [
            format!("DCGM_FI_DEV_GPU_UTIL{{vm=\"{nil}\",pool=\"a \\\"b\\\"\\\\\\n\"}} 75.0"),
            format!("DCGM_FI_DEV_FB_FREE{{vm=\"{nil}\",pool=\"a \\\"b\\\"\\\\\\n\"}} 5"),
            format!("vgpu_latency_seconds_bucket{{vm=\"{nil}\",le=\"0.00001\"}} 0"),
            format!("vgpu_latency_seconds_bucket{{vm=\"{nil}\",le=\"0.00002\"}} 2"),
            format!("vgpu_latency_seconds_bucket{{vm=\"{nil}\",le=\"+Inf\"}} 3"),
            format!("vgpu_latency_seconds_sum{{vm=\"{nil}\"}} 2"),
            "vgpu_engine_busy_seconds_total{engine=\"one\",kind=\"cpu\"} 2".to_owned(),
            "vgpu_engine_switches_total{engine=\"one\",kind=\"cpu\"} 5".to_owned(),
            format!("vgpu_queued_bytes{{vm=\"{nil}\",pool=\"a \\\"b\\\"\\\\\\n\"}} 640"),
            format!("vgpu_pinned_bytes{{vm=\"{nil}\",pool=\"a \\\"b\\\"\\\\\\n\"}} 8192"),
        ] {
            assert!(
                text.lines().any(|line| line == expected),
                "{expected}\n{text}"
            );
        }
        // Each line is a comment, or a name with labels and a number; each name has its type before it.
        let mut known = Vec::new();
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                known.push(rest.split(' ').next().unwrap());
            }
            if !line.starts_with('#') {
                let (name, rest) = line.split_once('{').unwrap();
                assert!(known.iter().any(|it| name.starts_with(it)), "{line}");
                let value = rest.rsplit_once("} ").unwrap().1;
                assert!(value.parse::<f64>().is_ok(), "{line}");
            }
        }
    }

    #[test]
    fn no_quota_is_no_number() {
        let mut status = status();
        status.machines[0].memory_quota = None;
        let text = prometheus(&status, &[], &BTreeMap::new());
        assert!(
            !text.contains("DCGM_FI_DEV_FB_FREE{") && !text.contains("NaN"),
            "{text}"
        );
    }

    #[test]
    fn json_comes_back_as_it_was() {
        let text = serde_json::to_string(&status()).unwrap();
        let back: Status = serde_json::from_str(&text).unwrap();
        assert_eq!(serde_json::to_string(&back).unwrap(), text);
    }
}
