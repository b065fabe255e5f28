//! A bare round trip of a word between this program and a worker of the host.

use std::sync::atomic::Ordering;
use std::time::Instant;

use vgpu_ring::guest::{Answers, Command, Commands};
use vgpu_ring::layout::{ARENA, SESSION};
use vgpu_ring::{Memory, Slice, echo};
use vgpu_transport::driver::Driver;
use vgpu_transport::{SpinFor, Transport};
use vgpu_window::Window;

use crate::batch::{BATCH, WARM};

/// The device that echoes.
pub(crate) const ECHOES: &str = "/dev/vgpu1";
/// How often the host may give up on a word, and looks at that between two at whether it has.
const TRIES: u32 = 100;
const LOOKS: u32 = 1 << 16;

/// A session whose worker passes a word to and fro.
pub(crate) struct Line {
    driver: Driver,
    commands: Commands<Window>,
    answers: Answers<Window>,
}

impl Line {
    pub(crate) fn open() -> Self {
        let driver = Driver::of(ECHOES).unwrap();
        let slice = Slice::new(driver.slice().clone(), &SESSION).unwrap();
        Self {
            commands: Commands::new(slice.clone()),
            answers: Answers::new(slice),
            driver,
        }
    }

    /// Nanoseconds of a round trip. A host gives up after a time, as where it shares its processor with this one: then once more.
    pub(crate) fn batch(&mut self) -> f64 {
        let found = (0..TRIES).find_map(|_| self.pass());
        found.expect("the host passes no word to and fro")
    }

    /// `None` where the host gave up.
    fn pass(&mut self) -> Option<f64> {
        let slice = self.answers.slice().memory().clone();
        let [own, other] = [0, echo::LINE].map(|place| &slice.words()[(ARENA + place) / 8]);
        own.store(0, Ordering::Relaxed);
        other.store(0, Ordering::SeqCst);
        let command = Command {
            op: echo::PINGPONG,
            flags: 0,
            aux: 0,
        };
        let asked = [0, WARM + BATCH];
        let number = self.commands.call(command, 0, &asked, &[], &self.driver);
        let (number, answers) = (number.unwrap(), &self.answers);
        let mut start = Instant::now();
        for round in 1..=WARM + BATCH {
            own.store(round, Ordering::Release);
            let mut looks = 0_u32;
            // Without a pause: on an emulated processor that takes longer than the answer.
            while other.load(Ordering::Acquire) != round {
                looks = looks.wrapping_add(1);
                // It may have passed the last word just before.
                if looks.is_multiple_of(LOOKS)
                    && answers.poll(0, number).is_some()
                    && other.load(Ordering::Acquire) != round
                {
                    return None;
                }
            }
            if round == WARM {
                start = Instant::now();
            }
        }
        let each = start.elapsed().as_nanos() as f64 / BATCH as f64;
        let answer = answers.wait(&self.driver, SpinFor::GUEST, || answers.poll(0, number));
        let done = answer.unwrap().inline() == asked[1].to_le_bytes();
        done.then_some(each)
    }
}
