//! What kernels print: it comes with the answers of calls that wait, and goes to the
//! program's standard output before they return.

use std::io::{Write, stdout};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use vgpu_cuda_wire::CUresult;
use vgpu_cuda_wire::notice::PRINTED;
use vgpu_ring::guest::{Answers, Notices};
use vgpu_ring::layout::NOTICE_SIZE;
use vgpu_ring::{Fault, HEADER_SIZE, Next, Record, Slice};
use vgpu_window::Window;

use crate::Done;
use crate::lock::lock;

/// How often at most a call asks for the rest: all that may wait comes in half as many
/// times.
const ASKED_MOST: usize = 48;

/// What kernels print.
#[derive(Debug)]
pub(crate) struct Printed {
    /// How much the worker said it had sent when it was last looked for.
    seen: AtomicU64,
    notices: Mutex<(Notices<Window>, Box<Record>)>,
}

impl Printed {
    pub(crate) fn new(slice: Slice<Window>) -> Self {
        Self {
            seen: AtomicU64::new(0),
            notices: Mutex::new((Notices::new(slice), Record::boxed())),
        }
    }

    /// Writes what the worker has sent before its last answer. What had no room it sends
    /// before its next one, for which `ask` asks.
    ///
    /// # Errors
    /// Those of `ask`; the worker broke the protocol.
    #[inline]
    pub(crate) fn show(&self, answers: &Answers<Window>, ask: impl Fn() -> Done) -> Done {
        match answers.noticed() == self.seen.load(Ordering::Relaxed) {
            true => Ok(()),
            false => self.show_all(answers, ask),
        }
    }

    #[cold]
    fn show_all(&self, answers: &Answers<Window>, ask: impl Fn() -> Done) -> Done {
        for _ in 0..ASKED_MOST {
            let noticed = answers.noticed();
            // A worker that breaks the protocol is never seen to the end.
            let found = self.write().map_err(|_| CUresult::CUDA_ERROR_UNKNOWN)?;
            self.seen.store(noticed, Ordering::Relaxed);
            if !found {
                break;
            }
            ask()?;
        }
        Ok(())
    }

    /// Writes what is there, and no more than a ring holds, whatever the worker goes on to
    /// send. Gives whether there was anything.
    fn write(&self) -> Result<bool, Fault> {
        let mut notices = lock(&self.notices);
        let (notices, record) = &mut *notices;
        let mut taken = 0;
        while taken < NOTICE_SIZE && notices.next(record)? == Next::Record {
            let (header, payload) = (record.header(), record.payload());
            taken += HEADER_SIZE + payload.len();
            if header.op == PRINTED {
                let length = payload.len().min(header.aux as usize);
                let mut out = stdout().lock();
                // A program whose output is closed loses it, as by its own `printf`.
                let _ = out.write_all(&payload[..length]).and_then(|()| out.flush());
            }
        }
        Ok(taken > 0)
    }
}
