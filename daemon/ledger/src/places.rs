//! Which places of a ledger are taken: the daemon's to know.

use std::collections::BTreeSet;

use crate::Ledger;

/// A machine has as many sessions as it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the virtual machine has {0} sessions, which is all that it may")]
pub struct NoPlace(pub usize);

/// The places that sessions have.
#[derive(Clone, Debug, Default)]
pub struct Places(BTreeSet<usize>);

impl Places {
    /// Takes a place, where there are less than `most`.
    ///
    /// # Errors
    /// There are as many, or as many as a ledger has.
    pub fn take(&mut self, most: usize) -> Result<usize, NoPlace> {
        let most = most.min(Ledger::<()>::PLACES);
        if self.0.len() >= most {
            return Err(NoPlace(most));
        }
        let free = (0..).find(|place| !self.0.contains(place));
        let place = free.ok_or(NoPlace(most))?;
        self.0.insert(place);
        Ok(place)
    }

    /// Gives a place back.
    pub fn give_back(&mut self, place: usize) {
        self.0.remove(&place);
    }

    /// How many are taken.
    #[must_use]
    pub fn taken(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_one_sessions() {
        let mut places = Places::default();
        assert_eq!(
            [places.take(3), places.take(3), places.take(3)],
            [Ok(0), Ok(1), Ok(2)]
        );
        assert_eq!(places.take(3), Err(NoPlace(3)));
        places.give_back(1);
        places.give_back(1);
        assert_eq!((places.taken(), places.take(3)), (2, Ok(1)));
        for n in 3..Ledger::<()>::PLACES {
            assert_eq!(places.take(usize::MAX), Ok(n));
        }
        assert_eq!(places.take(usize::MAX), Err(NoPlace(Ledger::<()>::PLACES)));
    }
}
