//! What kernels print, on its way to the program: it goes into the ring of notices,
//! and what has no room there waits here.

use std::collections::VecDeque;

use vgpu_cuda_wire::notice::{PRINTED, PRINTED_MAX};
use vgpu_ring::host::Notifier;
use vgpu_ring::{Fault, Memory, PushError, Slice};

/// Text that waits, and the way to the program.
#[derive(Debug)]
pub(crate) struct Printed<M> {
    waiting: VecDeque<u8>,
    /// From the first text on: most programs print nothing.
    notifier: Option<Notifier<M>>,
}

impl<M> Default for Printed<M> {
    fn default() -> Self {
        Self {
            waiting: VecDeque::new(),
            notifier: None,
        }
    }
}

impl<M: Memory> Printed<M> {
    /// Adds what a launch printed. Where too much waits, the oldest lines are lost, as
    /// in CUDA.
    pub(crate) fn add(&mut self, text: &[u8]) {
        self.waiting.extend(text);
        let over = self.waiting.len().saturating_sub(PRINTED_MAX);
        if over > 0 {
            // Up to the end of a line, where one ends before all does.
            let mut behind = self.waiting.iter().skip(over - 1);
            let line = behind.position(|byte| *byte == b'\n').map(|n| over + n);
            let cut = line.filter(|end| *end < self.waiting.len());
            self.waiting.drain(..cut.unwrap_or(over));
        }
    }

    /// Sends as much as there is room for.
    ///
    /// # Errors
    /// The program broke the protocol.
    pub(crate) fn send(&mut self, slice: &Slice<M>) -> Result<(), Fault> {
        while !self.waiting.is_empty() {
            let notifier = &mut self.notifier;
            let notifier = notifier.get_or_insert_with(|| Notifier::new(slice.clone()));
            let (part, _) = self.waiting.as_slices();
            let part = &part[..part.len().min(notifier.longest())];
            match notifier.send(PRINTED, part) {
                Ok(()) => {
                    let sent = part.len();
                    self.waiting.drain(..sent);
                }
                // The program takes what is there, and asks for the rest.
                Err(PushError::Full | PushError::TooLong) => break,
                Err(PushError::Fault(fault)) => return Err(fault),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use vgpu_ring::guest::Notices;
    use vgpu_ring::layout::{NOTICE_HEAD, NOTICE_SIZE, SESSION};
    use vgpu_ring::{Next, Record};

    use super::*;

    fn memory() -> Vec<AtomicU64> {
        (0..SESSION.arena / 8).map(|_| AtomicU64::new(0)).collect()
    }

    /// Lines of 16 bytes, with numbers from one on.
    fn lines(numbers: std::ops::Range<usize>) -> Vec<u8> {
        numbers
            .flat_map(|n| format!("{n:15}\n").into_bytes())
            .collect()
    }

    /// What the program finds.
    fn take(notices: &mut Notices<&[AtomicU64]>) -> Vec<u8> {
        let (mut all, mut record) = (Vec::new(), Record::boxed());
        while notices.next(&mut record) == Ok(Next::Record) {
            let header = record.header();
            assert_eq!(header.op, PRINTED);
            all.extend(&record.payload()[..header.aux as usize]);
        }
        all
    }

    #[test]
    fn more_than_a_ring_comes_in_turns_and_in_order() {
        let memory = memory();
        let slice = Slice::new(memory.as_slice(), &SESSION).unwrap();
        let (mut printed, mut notices) = (Printed::default(), Notices::new(slice));
        let text = lines(0..PRINTED_MAX / 16);
        printed.add(&text);
        let mut all = Vec::new();
        loop {
            printed.send(&slice).unwrap();
            let more = take(&mut notices);
            assert!(more.len() <= NOTICE_SIZE);
            if more.is_empty() {
                break;
            }
            all.extend(more);
        }
        assert!(all == text);
        assert!(printed.waiting.is_empty());
    }

    #[test]
    fn the_oldest_lines_are_lost() {
        let mut printed = Printed::<&[AtomicU64]>::default();
        let most = PRINTED_MAX / 16;
        printed.add(&lines(0..most));
        assert_eq!(printed.waiting.len(), PRINTED_MAX);
        // A part of a line more: the first goes as a whole.
        printed.add(b"end");
        let expected = [lines(1..most), b"end".to_vec()].concat();
        assert!(printed.waiting == expected);
        printed.add(b"\n");
        printed.add(&lines(0..most + 5));
        assert!(printed.waiting == lines(5..most + 5));
        // What has no lines is cut anywhere.
        printed.add(&[b'x'; 2 * PRINTED_MAX]);
        assert!(printed.waiting == vec![b'x'; PRINTED_MAX]);
    }

    #[test]
    fn an_index_that_cannot_be_is_a_fault() {
        let memory = memory();
        let slice = Slice::new(memory.as_slice(), &SESSION).unwrap();
        let mut printed = Printed::default();
        printed.add(&lines(0..NOTICE_SIZE / 8));
        printed.send(&slice).unwrap();
        memory[NOTICE_HEAD / 8].store(u64::MAX, Ordering::Relaxed);
        let fault = printed.send(&slice).unwrap_err();
        assert!(
            matches!(fault, Fault::Index { head: u64::MAX, .. }),
            "{fault}"
        );
    }
}
