//! Functions of the program that a stream calls. The worker waits at each, tells that it is there,
//! and goes on when it has run: on one thread of this library, in the streams' order.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;

use vgpu_cuda_wire::CUresult;

use crate::Done;
use crate::connection::Connection;
use crate::lock::lock;
use crate::pointers::{HostFunction, StreamFunction};

/// A function that is to be called.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Callback {
    /// After the work before it, unless that failed.
    Host(HostFunction),
    /// After the work before it, whether that failed or not.
    Stream(StreamFunction),
    /// Soon: what ends an object of the program.
    End(HostFunction),
}

/// What was asked for, and did not run yet. Each has the point at which the worker waits for it, or
/// none.
#[derive(Debug, Default)]
pub(crate) struct Callbacks {
    /// The last point that was sent. Whoever sends has the lock: points are sent in their order.
    last: Mutex<u64>,
    waiting: Mutex<VecDeque<(Option<u64>, Callback)>>,
    more: Condvar,
    thread: Mutex<Option<thread::ThreadId>>,
}

impl Callbacks {
    /// Has a function called when all work that was sent before is done; what is sent later waits
    /// until it has returned.
    pub(crate) fn submit(
        &'static self,
        connection: &'static Connection,
        callback: Callback,
    ) -> Done {
        self.start(connection)?;
        let mut last = lock(&self.last);
        let point = *last + 1;
        connection.client().hold(point)?;
        *last = point;
        self.add(Some(point), callback);
        Ok(())
    }

    /// Has a function called soon.
    pub(crate) fn end(
        &'static self,
        connection: &'static Connection,
        function: HostFunction,
    ) -> Done {
        self.start(connection)?;
        self.add(None, Callback::End(function));
        Ok(())
    }

    fn add(&self, point: Option<u64>, callback: Callback) {
        lock(&self.waiting).push_back((point, callback));
        self.more.notify_one();
    }

    /// Whether this is the thread that calls.
    pub(crate) fn is_own_thread(&self) -> bool {
        *lock(&self.thread) == Some(thread::current().id())
    }

    fn start(&'static self, connection: &'static Connection) -> Done {
        let mut started = lock(&self.thread);
        if started.is_none() {
            let name = thread::Builder::new().name("vgpu callbacks".into());
            let thread = name.spawn(|| self.run(connection));
            let thread = thread.map_err(|_| CUresult::CUDA_ERROR_OUT_OF_MEMORY)?;
            *started = Some(thread.thread().id());
        }
        Ok(())
    }

    fn next(&self) -> (Option<u64>, Callback) {
        let mut waiting = lock(&self.waiting);
        loop {
            match waiting.pop_front() {
                Some(next) => return next,
                None => {
                    let woken = self.more.wait(waiting);
                    waiting = woken.unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }

    fn run(&self, connection: &Connection) {
        loop {
            let (point, callback) = self.next();
            let reached = match point {
                Some(point) => connection.reach(point),
                None => Ok(()),
            };
            match (callback, reached) {
                (Callback::Host(_), Err(_)) => {}
                (Callback::Host(function) | Callback::End(function), _) => function.call(),
                (Callback::Stream(function), reached) => {
                    function.call(reached.err().unwrap_or(CUresult::CUDA_SUCCESS));
                }
            }
            if let Some(point) = point {
                connection.release(point);
            }
        }
    }
}
