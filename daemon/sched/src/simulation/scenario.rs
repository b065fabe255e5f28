//! What is simulated, as a file says it.

use serde::{Deserialize, Serialize};

use crate::{Config, Nanos, Priority, Rate, Share};

/// Nanoseconds of a microsecond,
const MICROSECOND: Nanos = 1000;
/// and of a millisecond.
pub(super) const MILLISECOND: Nanos = 1_000_000;
/// The most machines, and sessions of one.
const MOST: u32 = 256;
/// The longest time, in seconds.
const LONGEST: u32 = 3600;

/// A run.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Scenario {
    /// How long it goes on.
    pub seconds: u32,
    /// What chance begins with.
    #[serde(default)]
    pub seed: u64,
    /// What passes between the end of a lease and the next one's first kernel, in microseconds.
    #[serde(default)]
    pub switch_us: u32,
    /// How the engine is divided.
    #[serde(default)]
    pub engine: Engine,
    /// Who uses it.
    pub vm: Vec<VmScenario>,
}

/// As [`Config`], where it is not the usual.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[allow(missing_docs, reason = "the same as of `Config`, with a unit")]
pub struct Engine {
    pub window_us: Option<u32>,
    pub patience_ms: Option<u32>,
    pub watchdog_ms: Option<u32>,
    pub ageing_ms: Option<u32>,
    pub strikes: Option<u32>,
}

/// One machine, or several that are the same.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct VmScenario {
    /// What the report calls it.
    pub name: String,
    /// How many of them there are.
    #[serde(default = "one")]
    pub count: u32,
    /// As [`Share::weight`].
    #[serde(default = "usual_weight")]
    pub weight: u32,
    /// As [`Share::priority`].
    #[serde(default)]
    pub priority: Priority,
    /// The most of the engine that it gets at any time, in percent.
    pub cap_percent: Option<u32>,
    /// The most that it gets in the long run, in percent.
    pub rate_percent: Option<u32>,
    /// Engine time that it may save up under that rate, in milliseconds.
    pub burst_ms: Option<u32>,
    /// Its sessions.
    #[serde(default = "one")]
    pub sessions: u32,
    /// How long its kernels take, in microseconds.
    pub kernel_us: Lengths,
    /// A kernel comes so often, in microseconds on average; without it, there is always one more.
    pub every_us: Option<u32>,
    /// How many kernels of a session may wait; of one that always has more, how many do.
    #[serde(default = "usual_depth")]
    pub depth: u32,
    /// From when on, in milliseconds.
    #[serde(default)]
    pub from_ms: u32,
    /// Until when, in milliseconds.
    pub until_ms: Option<u32>,
    /// After so many kernels of a session, one does not end; its session is ended by the watchdog, and opened anew.
    pub hang_after: Option<u32>,
}

/// How long kernels take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Lengths {
    /// All the same.
    Same(u32),
    /// From the first to the second, each as likely.
    Between([u32; 2]),
}

const fn one() -> u32 {
    1
}

const fn usual_weight() -> u32 {
    Share::WEIGHT
}

const fn usual_depth() -> u32 {
    16
}

impl Lengths {
    fn ends(self) -> [u32; 2] {
        match self {
            Self::Same(length) => [length; 2],
            Self::Between(ends) => ends,
        }
    }

    /// A length, in nanoseconds.
    pub(super) fn draw(self, chance: &mut fastrand::Rng) -> Nanos {
        let [shortest, longest] = self.ends().map(|end| u64::from(end) * MICROSECOND);
        chance.u64(shortest..=longest)
    }
}

impl Engine {
    pub(super) fn config(&self) -> Config {
        let usual = Config::default();
        let time = |given: Option<u32>, unit, usual| given.map_or(usual, |it| u64::from(it) * unit);
        Config {
            window: time(self.window_us, MICROSECOND, usual.window),
            patience: time(self.patience_ms, MILLISECOND, usual.patience),
            watchdog: time(self.watchdog_ms, MILLISECOND, usual.watchdog),
            ageing: time(self.ageing_ms, MILLISECOND, usual.ageing),
            strikes: self.strikes.unwrap_or(usual.strikes),
            ..usual
        }
    }
}

impl VmScenario {
    pub(super) fn share(&self, window: Nanos) -> Share {
        let rate = |percent: Option<u32>, burst| {
            percent.map(|percent| Rate {
                millionths: percent * 10_000,
                burst,
            })
        };
        let saved = self
            .burst_ms
            .map_or(100 * MILLISECOND, |ms| u64::from(ms) * MILLISECOND);
        Share {
            weight: self.weight,
            priority: self.priority,
            cap: rate(self.cap_percent, window),
            rate: rate(self.rate_percent, saved),
            queue: self.depth,
            sessions: self.sessions,
        }
    }

    /// What is wrong with it.
    fn check(&self) -> Result<(), String> {
        let [shortest, longest] = self.kernel_us.ends();
        let percents = [self.cap_percent, self.rate_percent];
        let rules = [
            ((1..=MOST).contains(&self.count), "count is from 1 to 256"),
            (
                (1..=MOST).contains(&self.sessions),
                "sessions are from 1 to 256",
            ),
            (
                (1..=Share::WEIGHT_MAX).contains(&self.weight),
                "weight is from 1 to 10000",
            ),
            (
                (1..=longest).contains(&shortest),
                "kernel-us is above 0, and its second number the larger",
            ),
            (self.every_us != Some(0), "every-us is above 0"),
            (
                (1..=65_536).contains(&self.depth),
                "depth is from 1 to 65536",
            ),
            (self.burst_ms != Some(0), "burst-ms is above 0"),
            (
                percents
                    .into_iter()
                    .flatten()
                    .all(|it| (1..=100).contains(&it)),
                "cap-percent and rate-percent are from 1 to 100",
            ),
        ];
        match rules.iter().find(|(holds, _)| !holds) {
            Some((_, rule)) => Err(format!("vm \"{}\": {rule}", self.name)),
            None => Ok(()),
        }
    }
}

impl Scenario {
    /// What is wrong with it.
    pub(super) fn check(&self) -> Result<(), String> {
        if !(1..=LONGEST).contains(&self.seconds) {
            return Err(format!("seconds are from 1 to {LONGEST}"));
        }
        if self.engine.window_us == Some(0) {
            return Err("engine: window-us is above 0".to_owned());
        }
        let machines = self.vm.iter().map(|vm| u64::from(vm.count)).sum::<u64>();
        if !(1..=u64::from(MOST)).contains(&machines) {
            return Err(format!("there are {machines} machines, not 1 to {MOST}"));
        }
        self.vm.iter().try_for_each(VmScenario::check)
    }
}
