//! Data in both directions, through a region, with many records in the ring.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use vgpu_direct::{Channel, Registers};
use vgpu_ring::echo;
use vgpu_ring::layout::SLOTS;
use vgpu_ring::{Memory, Reply};
use vgpu_terminal::Failure;
use vgpu_window::Window;

use super::progress::Progress;
use super::report::Stream;

/// Bytes of a record that the host reads: as many as make it busy for longer than this side is ever away, where each slot
/// has one.
const READ: usize = 256 << 10;

/// Bytes of a record that it writes. A pass over the region is many of them, for each of which it may sleep once at most.
const WRITTEN: usize = 32 << 10;

/// Has the host hash what this side wrote. The region is written once, and of each piece the last word anew for each record:
/// else this side's writing would be measured.
pub(super) fn to_host<R: Registers>(
    ring: &mut Channel<'_, R>,
    (region, window): (u32, &Window),
    bytes: u64,
    progress: &mut Progress,
) -> Result<Stream, Failure> {
    let pieces: Vec<_> = window.words().chunks_exact(READ / 8).collect();
    let begun: Vec<_> = pieces
        .iter()
        .zip(0..)
        .map(|(piece, seed)| fill(piece, seed))
        .collect();
    let in_flight = pieces.len().min(SLOTS);
    let records = bytes.div_ceil(READ as u64);
    let mut expected = [None; SLOTS];
    let mut wrong = 0;
    let (rung, start) = (ring.rung(), Instant::now());
    // At the end, as many turns more as there are records in flight.
    for record in 0..records + in_flight as u64 {
        let slot = (record % in_flight as u64) as u8;
        if let Some((number, hash)) = expected[usize::from(slot)].take() {
            let answer = ring.answer(slot, number)?;
            wrong += u64::from(value(ring, &answer)? != hash);
        }
        if record < records {
            let piece = (record % pieces.len() as u64) as usize;
            let last = echo::word(record, u64::MAX);
            pieces[piece][READ / 8 - 1].store(last, Ordering::Relaxed);
            let hash = echo::hash_with(begun[piece], last);
            let range = echo::Range::payload(region, (piece * READ) as u64, READ as u64);
            let number = ring.call(echo::HASH, slot, &range)?;
            expected[usize::from(slot)] = Some((number, hash));
            progress.show("to the host", record, records);
        }
    }
    let time = start.elapsed();
    Ok(stream(ring.rung() - rung, (records, READ), wrong, time))
}

/// Has the host fill the region time and again, and looks at each word of it in between.
pub(super) fn to_guest<R: Registers>(
    ring: &mut Channel<'_, R>,
    (region, window): (u32, &Window),
    bytes: u64,
    progress: &mut Progress,
) -> Result<Stream, Failure> {
    let pieces: Vec<_> = window.words().chunks_exact(WRITTEN / 8).collect();
    let records = bytes.div_ceil(WRITTEN as u64);
    let (mut done, mut wrong, mut time) = (0, 0, Duration::ZERO);
    let rung = ring.rung();
    while done < records {
        // No pass has the words of the last one.
        let seed = (done + 1) << 32;
        let pass = pieces.len().min((records - done) as usize);
        let start = Instant::now();
        let record = |piece: usize| {
            let [region, offset, length] =
                echo::Range::payload(region, (piece * WRITTEN) as u64, WRITTEN as u64);
            [region, offset, length, seed]
        };
        for piece in 0..pass - 1 {
            ring.send(echo::FILL, &record(piece))?;
        }
        // Records are done in their order: with the last, all are.
        let number = ring.call(echo::FILL, 0, &record(pass - 1))?;
        let answer = ring.answer(0, number)?;
        time += start.elapsed();
        value(ring, &answer)?;
        for (piece, first) in pieces[..pass].iter().zip((0..).step_by(WRITTEN / 8)) {
            wrong += u64::from(!is_filled(piece, seed, first));
        }
        done += pass as u64;
        progress.show("to the guest", done, records);
    }
    Ok(stream(ring.rung() - rung, (records, WRITTEN), wrong, time))
}

fn stream(doorbells: u64, (records, size): (u64, usize), wrong: u64, time: Duration) -> Stream {
    let bytes = records * size as u64;
    Stream {
        bytes,
        records,
        wrong,
        mib_per_s: bytes as f64 / f64::from(1 << 20) / time.as_secs_f64(),
        doorbells,
    }
}

/// Fills a piece but for its last word; gives the hash of it.
fn fill(piece: &[AtomicU64], seed: u64) -> u64 {
    let words = piece[..piece.len() - 1].iter().zip(0..);
    echo::hash(words.map(|(word, index)| {
        let value = echo::word(seed << 32, index);
        word.store(value, Ordering::Relaxed);
        value
    }))
}

/// Whether a piece that begins with word `first` of the region has what the seed stands for.
fn is_filled(piece: &[AtomicU64], seed: u64, first: u64) -> bool {
    let mut words = piece.iter().zip(first..);
    words.all(|(word, index)| word.load(Ordering::Relaxed) == echo::word(seed, index))
}

/// The number in an answer.
fn value<R: Registers>(ring: &Channel<'_, R>, answer: &Reply) -> Result<u64, Failure> {
    match (answer.status, answer.inline().try_into()) {
        (0, Ok(bytes)) => Ok(u64::from_le_bytes(bytes)),
        (status, _) => Err(ring.lost(&format!("the host refused a record, with status {status}"))),
    }
}
