//! The file: whom it is believed, and what it says, line by line.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::fs::File;
use std::io::Read;
use std::ops::Range;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::OFlags;
use rustix::process::geteuid;
use serde::Deserialize;
use toml::Spanned;
use uuid::Uuid;
use vgpu_abi::bar0::CHANNELS;
use vgpu_sched::{Config, Priority, Rate, Share};
use vgpu_service::{ECHOES, ENGINES, Tuning};

use super::types::{DEFAULT, EngineSettings, Limits, MachineSettings, Settings, WorkerSettings};
use super::users::UserRange;

/// Bytes that a file may have.
const LONGEST: u64 = 1 << 20;
/// MiB that a machine may have at most.
const MOST_MEMORY: u32 = 1 << 20;
/// Engines at a time.
const MOST_ENGINES: usize = 64;
/// Nanoseconds of a microsecond, and of a millisecond.
const MICROSECOND: u64 = 1000;
const MILLISECOND: u64 = 1_000_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default)]
    engine: Vec<Engine>,
    #[serde(default)]
    pool: Vec<Pool>,
    #[serde(default)]
    machine: Vec<Machine>,
    #[serde(default)]
    workers: Workers,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
struct Workers {
    own_users: bool,
    uid_base: Option<Spanned<u32>>,
    uids: Option<Spanned<u32>>,
    users_folder: Option<PathBuf>,
    cgroup: Option<PathBuf>,
}

impl Default for Workers {
    fn default() -> Self {
        Self {
            own_users: true,
            uid_base: None,
            uids: None,
            users_folder: None,
            cgroup: None,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Engine {
    name: Spanned<String>,
    kind: Spanned<String>,
    memory_mib: Option<Spanned<u32>>,
    kernel_us: Option<Spanned<u32>>,
    window_us: Option<Spanned<u32>>,
    patience_ms: Option<Spanned<u32>>,
    watchdog_ms: Option<Spanned<u32>>,
    ageing_ms: Option<Spanned<u32>>,
    strikes: Option<Spanned<u32>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Pool {
    name: Spanned<String>,
    engines: Vec<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Machine {
    uuid: Spanned<String>,
    uid: u32,
    channels: Option<Spanned<u32>>,
    memory_mib: Option<Spanned<u32>>,
    device_memory_mib: Option<Spanned<u32>>,
    pool: Option<Spanned<String>>,
    weight: Option<Spanned<u32>>,
    #[serde(default)]
    priority: Priority,
    cap_percent: Option<Spanned<u32>>,
    rate_percent: Option<Spanned<u32>>,
    burst_ms: Option<Spanned<u32>>,
}

/// What is wrong, and in which line.
pub(super) type Wrong = (usize, String);

/// A file that root or this daemon's user has written, and nobody else can write to.
pub(super) fn read(path: &Path) -> Result<String, String> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = File::options()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path);
    let told = |error: std::io::Error| error.to_string();
    let file = file.map_err(told)?;
    let metadata = file.metadata().map_err(told)?;
    let owner = metadata.uid();
    if !metadata.is_file() {
        return Err("no regular file".to_owned());
    }
    if owner != 0 && owner != geteuid().as_raw() {
        return Err(format!("owned by user {owner}, not by root or this user"));
    }
    if metadata.mode() & 0o022 != 0 {
        return Err("others can write to it: chmod go-w".to_owned());
    }
    let mut text = String::new();
    file.take(LONGEST + 1)
        .read_to_string(&mut text)
        .map_err(told)?;
    if text.len() as u64 > LONGEST {
        return Err(format!("longer than {LONGEST} bytes"));
    }
    Ok(text)
}

/// What a text says, where `engine` is the kind of engine where it names none.
pub(super) fn parse(text: &str, engine: &str) -> Result<Settings, Wrong> {
    let lines = Lines(text);
    let written: Written = toml::from_str(text).map_err(|error| {
        let at = error.span().unwrap_or(0..0);
        lines.wrong(&at, &error.message())
    })?;
    let engines = lines.engines(written.engine, engine)?;
    let pools = lines.pools(written.pool, &engines)?;
    let machines = lines.machines(written.machine, &pools)?;
    let workers = lines.workers(written.workers)?;
    Ok(Settings {
        engines,
        machines,
        workers,
    })
}

/// The text, to find lines in.
struct Lines<'a>(&'a str);

impl Lines<'_> {
    fn wrong(&self, at: &Range<usize>, what: &dyn Display) -> Wrong {
        let before = self.0.bytes().take(at.start);
        (
            1 + before.filter(|&byte| byte == b'\n').count(),
            what.to_string(),
        )
    }

    /// A number from 1 to `most`, where there is one.
    fn number(
        &self,
        given: Option<Spanned<u32>>,
        most: u32,
        name: &str,
    ) -> Result<Option<u32>, Wrong> {
        match given {
            None => Ok(None),
            Some(given) if (1..=most).contains(given.get_ref()) => Ok(Some(given.into_inner())),
            Some(given) => {
                Err(self.wrong(&given.span(), &format_args!("{name} is from 1 to {most}")))
            }
        }
    }

    fn time(
        &self,
        given: Option<Spanned<u32>>,
        unit: u64,
        usual: u64,
        name: &str,
    ) -> Result<u64, Wrong> {
        let time = self.number(given, 3_600_000, name)?;
        Ok(time.map_or(usual, |time| u64::from(time) * unit))
    }

    fn engines(&self, written: Vec<Engine>, kind: &str) -> Result<Vec<EngineSettings>, Wrong> {
        let mut all: Vec<EngineSettings> = Vec::new();
        for engine in written {
            let at = engine.name.span();
            let name = engine.name.into_inner();
            if all.iter().any(|other| other.name == name) {
                return Err(self.wrong(&at, &"this engine is there twice"));
            }
            if all.len() == MOST_ENGINES {
                return Err(self.wrong(&at, &format_args!("more than {MOST_ENGINES} engines")));
            }
            let kinds = ENGINES.iter().chain(&ECHOES);
            let mut kinds = kinds.map(|kind| kind.name);
            if !kinds.any(|kind| kind == engine.kind.get_ref()) {
                let names: Vec<_> = ENGINES.iter().map(|kind| kind.name).collect();
                let told = format!("kind is one of {}", names.join(", "));
                return Err(self.wrong(&engine.kind.span(), &told));
            }
            let kernel = self.number(engine.kernel_us, 60_000_000, "kernel-us")?;
            let memory = self.number(engine.memory_mib, MOST_MEMORY, "memory-mib")?;
            let usual = Config::default();
            let config = Config {
                window: self.time(engine.window_us, MICROSECOND, usual.window, "window-us")?,
                patience: self.time(
                    engine.patience_ms,
                    MILLISECOND,
                    usual.patience,
                    "patience-ms",
                )?,
                watchdog: self.time(
                    engine.watchdog_ms,
                    MILLISECOND,
                    usual.watchdog,
                    "watchdog-ms",
                )?,
                ageing: self.time(engine.ageing_ms, MILLISECOND, usual.ageing, "ageing-ms")?,
                strikes: self
                    .number(engine.strikes, 1000, "strikes")?
                    .unwrap_or(usual.strikes),
                ..usual
            };
            all.push(EngineSettings {
                name,
                kind: engine.kind.into_inner(),
                tuning: Tuning {
                    kernel: Duration::from_micros(kernel.unwrap_or(0).into()),
                    memory: memory.map(|mib| u64::from(mib) << 20),
                },
                config,
            });
        }
        if all.is_empty() {
            all.push(EngineSettings::usual(kind));
        }
        Ok(all)
    }

    /// The engines of each pool, by their places.
    fn pools(
        &self,
        written: Vec<Pool>,
        engines: &[EngineSettings],
    ) -> Result<BTreeMap<String, Vec<usize>>, Wrong> {
        let mut pools = BTreeMap::new();
        for pool in written {
            let (at, name) = (pool.name.span(), pool.name.into_inner());
            let mut members = Vec::new();
            for member in pool.engines {
                let place = engines.iter().position(|it| it.name == *member.get_ref());
                let unknown = || {
                    let told = format!("there is no engine \"{}\"", member.get_ref());
                    self.wrong(&member.span(), &told)
                };
                members.push(place.ok_or_else(unknown)?);
            }
            if members.is_empty() {
                return Err(self.wrong(&at, &"a pool without engines"));
            }
            if pools.insert(name, members).is_some() {
                return Err(self.wrong(&at, &"this pool is there twice"));
            }
        }
        if pools.is_empty() {
            pools.insert(DEFAULT.to_owned(), (0..engines.len()).collect());
        }
        Ok(pools)
    }

    fn workers(&self, written: Workers) -> Result<WorkerSettings, Wrong> {
        let usual = UserRange::usual();
        let at = [&written.uid_base, &written.uids];
        let at = at.into_iter().flatten().next().map(Spanned::span);
        let first = written.uid_base.map(Spanned::into_inner);
        let count = written.uids.map(Spanned::into_inner);
        let said = first.is_some() || count.is_some() || written.users_folder.is_some();
        let users = UserRange::new(
            first.unwrap_or(usual.users.start),
            count.unwrap_or(usual.users.len() as u32),
            written.users_folder,
        );
        let users = users.map_err(|error| self.wrong(&at.unwrap_or(0..0), &error))?;
        Ok(WorkerSettings {
            own_users: written.own_users,
            users: said.then_some(users),
            group: written.cgroup,
        })
    }

    fn machines(
        &self,
        written: Vec<Machine>,
        pools: &BTreeMap<String, Vec<usize>>,
    ) -> Result<BTreeMap<Uuid, MachineSettings>, Wrong> {
        let mut all = BTreeMap::new();
        for machine in written {
            let at = machine.uuid.span();
            let uuid = Uuid::try_parse(machine.uuid.get_ref());
            let uuid = uuid.map_err(|error| self.wrong(&at, &error))?;
            let settings = self.machine(machine, pools)?;
            if all.insert(uuid, settings).is_some() {
                return Err(self.wrong(&at, &"this machine is there twice"));
            }
        }
        Ok(all)
    }

    fn machine(
        &self,
        machine: Machine,
        pools: &BTreeMap<String, Vec<usize>>,
    ) -> Result<MachineSettings, Wrong> {
        let at = machine
            .pool
            .as_ref()
            .map_or_else(|| machine.uuid.span(), Spanned::span);
        let pool = machine
            .pool
            .map_or_else(|| DEFAULT.to_owned(), Spanned::into_inner);
        let engines = pools.get(&pool);
        let engines =
            engines.ok_or_else(|| self.wrong(&at, &format_args!("there is no pool \"{pool}\"")))?;
        let channels = self.number(machine.channels, CHANNELS.into(), "channels")?;
        let memory = self.number(machine.memory_mib, MOST_MEMORY, "memory-mib")?;
        let device = self.number(machine.device_memory_mib, MOST_MEMORY, "device-memory-mib")?;
        let weight = self.number(machine.weight, Share::WEIGHT_MAX, "weight")?;
        let cap = self.number(machine.cap_percent, 100, "cap-percent")?;
        let rate = self.number(machine.rate_percent, 100, "rate-percent")?;
        let burst = self.time(machine.burst_ms, MILLISECOND, 100 * MILLISECOND, "burst-ms")?;
        let usual = Limits::default();
        let limits = Limits {
            channels: channels.unwrap_or(usual.channels),
            memory: memory.map_or(usual.memory, |mib| u64::from(mib) << 20),
        };
        let percent = |percent: u32, burst| Rate {
            millionths: percent * 10_000,
            burst,
        };
        let share = Share {
            weight: weight.unwrap_or(Share::WEIGHT),
            priority: machine.priority,
            // No more at once than anybody has.
            cap: cap.map(|cap| percent(cap, Config::default().window)),
            rate: rate.map(|rate| percent(rate, burst)),
            sessions: limits.channels,
            ..Share::default()
        };
        Ok(MachineSettings {
            uid: machine.uid,
            limits,
            share,
            device_memory: device.map_or(u64::MAX, |mib| u64::from(mib) << 20),
            pool,
            engines: engines.clone(),
        })
    }
}
