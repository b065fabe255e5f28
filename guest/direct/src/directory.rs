//! How memory is named to the device: segments, in the pages of a directory ([`vgpu_abi::segment`]).

use vgpu_abi::segment::{Directory, MAGIC, ORDER_MAX, PAGE, PER_PAGE, Segment};

/// A page of a directory, as words.
pub type Page = [u64; PAGE as usize / 8];

/// The segments of memory whose pages have these addresses, in this order. Neighbours are joined, and cut into powers of
/// two, each aligned to itself. An address that no page can have ends the list.
#[must_use]
pub fn segments(pages: &[u64]) -> Vec<u64> {
    let mut segments = Vec::new();
    for run in pages.chunk_by(|one, next| one.checked_add(PAGE) == Some(*next)) {
        let (mut number, mut left) = (run[0] / PAGE, run.len() as u64);
        while left > 0 {
            let order = number.trailing_zeros().min(left.ilog2()).min(ORDER_MAX);
            let Some(word) = Segment::word(number * PAGE, order) else {
                return segments;
            };
            segments.push(word);
            number += 1 << order;
            left -= 1 << order;
        }
    }
    segments
}

/// How many pages a directory of so many segments takes.
#[must_use]
pub const fn length(segments: usize) -> usize {
    segments.div_ceil(PER_PAGE as usize)
}

/// The pages of a directory of these segments, of which page `n` is to lie at `addresses[n]`. There are as many as
/// [`length`] says; `None` where there are fewer addresses, or no segments.
#[must_use]
pub fn pages(segments: &[u64], addresses: &[u64]) -> Option<Vec<Page>> {
    let wanted = length(segments.len());
    if wanted == 0 || addresses.len() < wanted {
        return None;
    }
    let following = addresses[1..wanted].iter().copied().chain([0]);
    let filled = segments.chunks(PER_PAGE as usize).zip(following);
    Some(filled.map(|(part, next)| page(part, next)).collect())
}

/// One page, with as many of the segments as find room in it, and the address of the next.
#[must_use]
pub fn page(segments: &[u64], next: u64) -> Page {
    let header = Directory {
        magic: MAGIC,
        count: segments.len() as u32,
        next,
    };
    let mut page: Page = [0; PAGE as usize / 8];
    let (head, body) = page.split_at_mut(size_of::<Directory>() / 8);
    let header: [u64; 2] = zerocopy::transmute!(header);
    head.copy_from_slice(&header);
    body.iter_mut()
        .zip(segments)
        .for_each(|(to, from)| *to = *from);
    page
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fake::decode;

    /// Pages of memory: runs of neighbours, anywhere below 1 TiB.
    fn memory() -> impl Strategy<Value = Vec<u64>> {
        let run = (0_u64..1 << 28, 1_u64..700);
        prop::collection::vec(run, 1..40).prop_map(|runs| {
            let pages = runs
                .into_iter()
                .flat_map(|(first, length)| first..first + length);
            pages.map(|number| number * PAGE).collect()
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn a_host_reads_the_pages_that_were_named(memory in memory()) {
            let segments = segments(&memory);
            let addresses: Vec<_> = (0..length(segments.len()) as u64).map(|n| (1 << 40) + n * 3 * PAGE).collect();
            let directory = pages(&segments, &addresses).unwrap();
            let at = |address| {
                let found = addresses.iter().position(|it| *it == address)?;
                directory.get(found).copied()
            };
            prop_assert_eq!(decode(addresses[0], at).unwrap(), memory);
        }

        #[test]
        fn segments_are_aligned_and_no_two_could_be_one(memory in memory()) {
            let segments: Vec<_> = segments(&memory).into_iter().map(|word| Segment::from_word(word).unwrap()).collect();
            for segment in &segments {
                prop_assert_eq!(segment.address % segment.length, 0);
            }
            for pair in segments.windows(2) {
                let neighbours = pair[0].address + pair[0].length == pair[1].address;
                let twice = pair[0].length * 2;
                let one = neighbours && pair[0].length == pair[1].length && pair[0].address % twice == 0;
                prop_assert!(!one, "{:?}", pair);
            }
        }
    }

    #[test]
    fn a_gibibyte_is_one_segment_and_no_more_is() {
        let page = |n: u64| (1 << 32) + n * PAGE;
        let memory: Vec<_> = (0..2 << ORDER_MAX).map(page).collect();
        let segments = segments(&memory);
        assert_eq!(
            segments,
            [0, 1 << ORDER_MAX].map(|n| page(n) | u64::from(ORDER_MAX))
        );
    }

    #[test]
    fn a_directory_needs_its_pages() {
        let segments = vec![PAGE; PER_PAGE as usize + 1];
        assert_eq!(length(segments.len()), 2);
        assert_eq!(pages(&segments, &[PAGE]), None);
        assert_eq!(pages(&[], &[PAGE]), None);
        let [first, second] = pages(&segments, &[PAGE, 7 * PAGE, 0]).unwrap()[..] else {
            panic!("two pages");
        };
        assert_eq!(
            first[..2],
            [u64::from(MAGIC) | u64::from(PER_PAGE) << 32, 7 * PAGE]
        );
        assert_eq!(second[..4], [u64::from(MAGIC) | 1 << 32, 0, PAGE, 0]);
    }
}
