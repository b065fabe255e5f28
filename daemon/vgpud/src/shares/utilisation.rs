//! What part of a while each machine kept its engines busy: of the while between two times that somebody asked, so that the
//! daemon wakes up for nobody.

use std::collections::BTreeMap;
use std::mem;

use uuid::Uuid;

/// The least that such a while is, in nanoseconds: who asks does not shorten it for another who asks too.
const LEAST: u64 = 1_000_000_000;

/// What was seen at a time: nanoseconds that engines had worked for each machine, in all.
#[derive(Clone, Debug, Default)]
struct Look {
    at: u64,
    worked: BTreeMap<Uuid, u64>,
}

/// The last times that it was asked for.
#[derive(Debug)]
pub(super) struct Utilisation {
    former: Look,
    last: Look,
}

impl Utilisation {
    /// From a time on at which nothing had been done.
    pub(super) fn since(began: u64) -> Self {
        let look = Look {
            at: began,
            ..Look::default()
        };
        Self {
            former: look.clone(),
            last: look,
        }
    }

    /// The part of each machine, of 1, from the last time on that is not too near; `worked` is what engines have worked for it,
    /// in all, and how many it may have at a time. What still runs has not worked yet: it counts when it is done.
    pub(super) fn look(
        &mut self,
        now: u64,
        worked: &BTreeMap<Uuid, (u64, usize)>,
    ) -> BTreeMap<Uuid, f64> {
        if now.saturating_sub(self.last.at) >= LEAST {
            let worked = worked.iter().map(|(uuid, (ns, _))| (*uuid, *ns));
            let look = Look {
                at: now,
                worked: worked.collect(),
            };
            self.former = mem::replace(&mut self.last, look);
        }
        let passed = now.saturating_sub(self.former.at).max(1);
        let parts = worked.iter().map(|(uuid, (ns, engines))| {
            let before = self.former.worked.get(uuid).copied().unwrap_or_default();
            let busy = ns.saturating_sub(before) as f64;
            let part = busy / passed as f64 / (*engines).max(1) as f64;
            (*uuid, part.min(1.0))
        });
        parts.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn it_is_of_the_while_since_it_was_last_asked() {
        let mut utilisation = Utilisation::since(5 * SECOND);
        let mut look = |at: u64, ns: u64, engines: usize| {
            let worked = [(Uuid::nil(), (ns, engines))].into();
            utilisation.look(at, &worked)[&Uuid::nil()]
        };
        let mut at = |at: u64, ns: u64, engines: usize, expected: f64| {
            let found = look(at, ns, engines);
            assert!((found - expected).abs() < 1e-9, "{found}, not {expected}");
        };
        // Since it began.
        at(15 * SECOND, 5 * SECOND, 1, 0.5);
        // Another asks at once, and gets the same while with a little more.
        at(15 * SECOND, 5 * SECOND, 1, 0.5);
        // Both of them later, since the time before.
        at(25 * SECOND, 6 * SECOND, 1, 0.1);
        at(25 * SECOND, 6 * SECOND, 1, 0.1);
        // It has several engines.
        at(35 * SECOND, 16 * SECOND, 2, 0.5);
        // Something long has ended, which began before.
        at(36 * SECOND, 26 * SECOND, 1, 1.0);
        // Nothing.
        at(46 * SECOND, 26 * SECOND, 1, 0.0);
    }

    #[test]
    fn at_the_very_beginning_it_is_a_number() {
        let mut utilisation = Utilisation::since(7);
        let worked = [(Uuid::nil(), (3, 0))].into();
        assert!((0.0..=1.0).contains(&utilisation.look(7, &worked)[&Uuid::nil()]));
    }
}
