//! Deficit round robin among those who wait: who has credit goes before who has none, and among those whoever was served
//! longest ago.

use crate::Nanos;

/// What a machine has of its engine, or a session of its machine.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Account {
    /// Engine time that it may use before others; below 0 where it has used more.
    pub(crate) credit: i64,
    /// What each round adds.
    pub(crate) quantum: u64,
    /// The number of the lease by which it was served last.
    served: u64,
    /// Since when it has nothing to do.
    idle: Option<Nanos>,
}

impl Account {
    /// That of who is new, with a round's credit.
    pub(crate) fn new(quantum: u64) -> Self {
        Self {
            credit: signed(quantum),
            quantum,
            served: 0,
            idle: None,
        }
    }

    pub(crate) fn serve(&mut self, number: u64) {
        self.served = number;
    }

    pub(crate) fn charge(&mut self, used: Nanos) {
        self.credit = self.credit.saturating_sub(signed(used));
    }

    /// It has nothing to do from now on.
    pub(crate) fn rest(&mut self, now: Nanos) {
        self.idle.get_or_insert(now);
    }

    /// It has something to do. What it was due meanwhile, `part` of `whole` of the time, it gets up to a round's credit: who
    /// rests after each piece of work gains nothing by that, and who has used little goes first.
    pub(crate) fn wake(&mut self, now: Nanos, part: u64, whole: u64) {
        let Some(since) = self.idle.take() else {
            return;
        };
        let rested = u128::from(now.saturating_sub(since));
        let due = rested * u128::from(part) / u128::from(whole.max(1));
        let due = i64::try_from(due).unwrap_or(i64::MAX);
        self.credit = self
            .credit
            .saturating_add(due)
            .min(signed(self.quantum).max(self.credit));
    }

    /// Rounds until it has credit.
    fn rounds(&self) -> u64 {
        let missing = 1_i64.saturating_sub(self.credit).max(0).unsigned_abs();
        missing.div_ceil(self.quantum.max(1))
    }
}

fn signed(time: u64) -> i64 {
    i64::try_from(time).unwrap_or(i64::MAX)
}

/// Who is next of those who wait. Where none has credit, as many rounds go by as it takes.
pub(crate) fn pick<K: Copy + Ord>(waiting: &mut [(K, &mut Account)]) -> Option<K> {
    let rounds = waiting.iter().map(|(_, account)| account.rounds()).min()?;
    for (_, account) in waiting.iter_mut() {
        let more = u128::from(rounds) * u128::from(account.quantum);
        let more = i64::try_from(more).unwrap_or(i64::MAX);
        account.credit = account.credit.saturating_add(more);
    }
    let ready = waiting.iter().filter(|(_, account)| account.credit > 0);
    ready
        .min_by_key(|(key, account)| (account.served, *key))
        .map(|(key, _)| *key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_go_by_until_somebody_has_credit() {
        let (mut a, mut b) = (Account::new(10), Account::new(40));
        a.charge(110);
        b.charge(240);
        // 11 rounds for the first, 6 for the second: (-200 + 6 * 40).
        assert_eq!(pick(&mut [('a', &mut a), ('b', &mut b)]), Some('b'));
        assert_eq!((a.credit, b.credit), (-40, 40));
        b.serve(1);
        b.charge(39);
        assert_eq!(pick(&mut [('a', &mut a), ('b', &mut b)]), Some('b'));
        assert_eq!(pick::<char>(&mut []), None);
    }

    #[test]
    fn who_was_served_longest_ago_is_next() {
        let (mut a, mut b) = (Account::new(10), Account::new(10));
        a.serve(2);
        b.serve(1);
        assert_eq!(pick(&mut [('a', &mut a), ('b', &mut b)]), Some('b'));
        b.serve(3);
        assert_eq!(pick(&mut [('a', &mut a), ('b', &mut b)]), Some('a'));
    }

    #[test]
    fn who_rests_gets_no_more_than_its_part_and_a_round() {
        let mut account = Account::new(100);
        account.charge(300);
        account.rest(1000);
        account.rest(5000);
        account.wake(1400, 1, 4);
        assert_eq!(account.credit, -100);
        account.rest(2000);
        account.wake(1_000_000, 1, 4);
        assert_eq!(account.credit, 100);
        account.wake(2_000_000, 1, 4);
        assert_eq!(account.credit, 100);
    }
}
