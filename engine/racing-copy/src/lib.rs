//! Copies rows of words that other threads may write meanwhile.
//!
//! A compiler makes one instruction of each relaxed atomic access. A processor moves two words with one, and no aligned word of them is
//! ever half old, half new (Intel SDM 3A 9.1.1, AMD APM 2 7.3.2). So the copy is written in instructions of the processor, about
//! which the compiler assumes nothing; elsewhere, and where Miri looks, it is word by word. They use no vector registers: an instruction
//! of SSE between those of AVX costs many times what it saves, and which of them there are is known only where the program runs.

use std::sync::atomic::AtomicU32;

/// Reads `N` words, each as a relaxed load does, in no order among them.
#[inline(always)]
pub fn load<const N: usize>(from: &[AtomicU32; N], to: &mut [u32; N]) {
    let (from, from_rest) = from.as_chunks::<4>();
    let (to, to_rest) = to.as_chunks_mut::<4>();
    for (from, to) in from.iter().zip(to) {
        load_four(from, to);
    }
    for (from, to) in from_rest.iter().zip(to_rest) {
        *to = from.load(std::sync::atomic::Ordering::Relaxed);
    }
}

/// Writes `N` words, each as a relaxed store does, in no order among them.
#[inline(always)]
pub fn store<const N: usize>(from: &[u32; N], to: &[AtomicU32; N]) {
    let (from, from_rest) = from.as_chunks::<4>();
    let (to, to_rest) = to.as_chunks::<4>();
    for (from, to) in from.iter().zip(to) {
        store_four(from, to);
    }
    for (from, to) in from_rest.iter().zip(to_rest) {
        to.store(*from, std::sync::atomic::Ordering::Relaxed);
    }
}

#[cfg(all(target_arch = "x86_64", not(miri)))]
#[inline(always)]
#[allow(unsafe_code)]
fn load_four(from: &[AtomicU32; 4], to: &mut [u32; 4]) {
    // SAFETY: there is a reference to the 16 bytes of each. Who writes `from` meanwhile does so by atomic accesses or `store_four`;
    // the instructions may see either value of a word.
    unsafe { move_four(from.as_ptr().cast(), to.as_mut_ptr()) }
}

#[cfg(all(target_arch = "x86_64", not(miri)))]
#[inline(always)]
#[allow(unsafe_code)]
fn store_four(from: &[u32; 4], to: &[AtomicU32; 4]) {
    // SAFETY: there is a reference to the 16 bytes of each; an `AtomicU32` may be written through a shared one, and each word is
    // written as one.
    unsafe { move_four(from.as_ptr(), to.as_ptr().cast::<u32>().cast_mut()) }
}

/// Moves 16 bytes.
///
/// # Safety
/// Those at `from` can be read, and those at `to` written, by instructions that move each aligned word as one.
#[cfg(all(target_arch = "x86_64", not(miri)))]
#[inline(always)]
#[allow(unsafe_code)]
unsafe fn move_four(from: *const u32, to: *mut u32) {
    // SAFETY: as the caller says; nothing else is touched.
    unsafe {
        std::arch::asm!(
            "mov {low}, [{from}]",
            "mov {high}, [{from} + 8]",
            "mov [{to}], {low}",
            "mov [{to} + 8], {high}",
            low = out(reg) _,
            high = out(reg) _,
            from = in(reg) from,
            to = in(reg) to,
            options(nostack, preserves_flags),
        );
    }
}

#[cfg(any(not(target_arch = "x86_64"), miri))]
#[inline(always)]
fn load_four(from: &[AtomicU32; 4], to: &mut [u32; 4]) {
    for (from, to) in from.iter().zip(to) {
        *to = from.load(std::sync::atomic::Ordering::Relaxed);
    }
}

#[cfg(any(not(target_arch = "x86_64"), miri))]
#[inline(always)]
fn store_four(from: &[u32; 4], to: &[AtomicU32; 4]) {
    for (from, to) in from.iter().zip(to) {
        to.store(*from, std::sync::atomic::Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::array;
    use std::sync::atomic::AtomicBool;
    use std::sync::atomic::Ordering::Relaxed;
    use std::thread;

    use super::*;

    /// A row at each alignment of words, of a length that is no multiple of four, with what lies around it.
    fn whole_rows<const N: usize>() {
        for first in 0..4 {
            let memory: [AtomicU32; 48] = array::from_fn(|index| AtomicU32::new(index as u32));
            let row: &[AtomicU32; N] = memory[first..].first_chunk().unwrap();
            let mut read = [0; N];
            load(row, &mut read);
            assert_eq!(read, array::from_fn(|index| (first + index) as u32));
            store(&read.map(|word| word + 100), row);
            for (index, word) in memory.iter().enumerate() {
                let inside = (first..first + N).contains(&index);
                assert_eq!(word.load(Relaxed), index as u32 + 100 * u32::from(inside));
            }
        }
    }

    #[test]
    fn rows_are_copied_and_nothing_else() {
        whole_rows::<32>();
        whole_rows::<16>();
        whole_rows::<4>();
        whole_rows::<7>();
        whole_rows::<1>();
    }

    /// No word is half of one value and half of another.
    #[test]
    fn words_are_whole_while_another_writes_them() {
        let memory: [AtomicU32; 33] = array::from_fn(|_| AtomicU32::new(0));
        let row: &[AtomicU32; 32] = memory[1..].first_chunk().unwrap();
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                for round in 0..if cfg!(miri) { 20 } else { 20_000u32 } {
                    store(&[if round % 2 == 0 { u32::MAX } else { 0 }; 32], row);
                }
                done.store(true, Relaxed);
            });
            let mut read = [0; 32];
            while !done.load(Relaxed) {
                load(row, &mut read);
                assert!(read.iter().all(|word| matches!(*word, 0 | u32::MAX)));
            }
        });
    }
}
