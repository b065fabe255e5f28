//! How an engine is to be, as far as its operator says: one word, which a daemon passes to its workers.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// How an engine is to be, where it is not as usual. Written as `kernel-us=500,memory-mib=64`, or `usual`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tuning {
    /// How long a kernel of the CPU engine takes at least, for tests.
    pub kernel: Duration,
    /// Bytes of device memory of an engine on processors.
    pub memory: Option<u64>,
}

/// A word that is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no tuning of an engine")]
pub struct NoTuning;

/// What it is written as where nothing is said.
const USUAL: &str = "usual";

impl fmt::Display for Tuning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::default() {
            return f.write_str(USUAL);
        }
        write!(f, "kernel-us={}", self.kernel.as_micros())?;
        match self.memory {
            Some(memory) => write!(f, ",memory-mib={}", memory >> 20),
            None => Ok(()),
        }
    }
}

impl FromStr for Tuning {
    type Err = NoTuning;

    fn from_str(text: &str) -> Result<Self, NoTuning> {
        let mut tuning = Self::default();
        for part in text.split(',').filter(|part| *part != USUAL) {
            let (name, value) = part.split_once('=').ok_or(NoTuning)?;
            let value: u32 = value.parse().map_err(|_| NoTuning)?;
            match name {
                "kernel-us" => tuning.kernel = Duration::from_micros(value.into()),
                "memory-mib" => tuning.memory = Some(u64::from(value) << 20),
                _ => return Err(NoTuning),
            }
        }
        Ok(tuning)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let kernel = Duration::from_micros(500);
        for tuning in [
            Tuning::default(),
            Tuning {
                kernel,
                memory: None,
            },
            Tuning {
                kernel,
                memory: Some(64 << 20),
            },
            Tuning {
                kernel: Duration::ZERO,
                memory: Some(1 << 40),
            },
        ] {
            assert_eq!(tuning.to_string().parse(), Ok(tuning));
        }
        for wrong in [
            "",
            "kernel-us",
            "kernel-us=x",
            "kernel-us=-1",
            "speed=1",
            "kernel-us=1,",
        ] {
            assert_eq!(wrong.parse::<Tuning>(), Err(NoTuning), "{wrong}");
        }
    }
}
