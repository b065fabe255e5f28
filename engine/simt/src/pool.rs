//! Threads of the host that help with a grid.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use crate::block::Runner;
use crate::grid::Grid;

/// Says that one helper is done, however it ends.
struct Done(Arc<(Mutex<usize>, Condvar)>);

impl Drop for Done {
    fn drop(&mut self) {
        let (left, changed) = &*self.0;
        *left.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        changed.notify_one();
    }
}

#[derive(Debug)]
pub(crate) struct Pool {
    helpers: Vec<Sender<(Arc<Grid>, Done)>>,
}

impl std::fmt::Debug for Done {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Done")
    }
}

impl Pool {
    /// A pool of as many helpers as the system gives threads for, up to `count`.
    pub(crate) fn new(count: usize) -> Self {
        let helper = |index: usize| {
            let (sender, receiver) = channel();
            let name = format!("simt-{index}");
            let thread = std::thread::Builder::new().name(name);
            thread.spawn(move || help(&receiver)).ok().map(|_| sender)
        };
        Self {
            helpers: (0..count).map_while(helper).collect(),
        }
    }

    /// How many helpers there are.
    pub(crate) fn helpers(&self) -> usize {
        self.helpers.len()
    }

    /// Executes `grid` with the calling thread and up to `helpers` others.
    pub(crate) fn run(&self, grid: &Arc<Grid>, helpers: usize, runner: &mut Runner) {
        let wanted = helpers.min(self.helpers.len());
        let left = Arc::new((Mutex::new(wanted), Condvar::new()));
        for helper in &self.helpers[..wanted] {
            // One that is gone drops its part, and is counted as done.
            let _ = helper.send((grid.clone(), Done(left.clone())));
        }
        grid.work(runner);
        let (count, changed) = &*left;
        let mut count = count.lock().unwrap_or_else(PoisonError::into_inner);
        while *count > 0 {
            count = changed.wait(count).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

fn help(receiver: &Receiver<(Arc<Grid>, Done)>) {
    let mut runner = Runner::default();
    while let Ok((grid, done)) = receiver.recv() {
        grid.work(&mut runner);
        drop(grid);
        drop(done);
    }
}
