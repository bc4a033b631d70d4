//! The sandboxes of one function: starts them on demand and reports their failures.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use hyper::body::Bytes;
use template::Function;
use tokio::{
    sync::{oneshot, watch},
    time::Instant,
};

use super::{
    invocation::{ErrorKind, Event, FunctionError, Invocation, Outcome},
    log::Log,
    sandbox,
    sandboxes::{Caller, Sandboxes, Verdict},
};

/// How long a function that streams may take to begin an answer whose reader has left. A stream ends when it
/// begins without a reader; an answer in one piece would be made to its end.
const ABANDONED: Duration = Duration::from_secs(1);

/// Settings of a pool.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) executable: PathBuf,
    pub(super) environment: Vec<(String, String)>,
    pub(super) max_sandboxes: usize,
    pub(super) idle: Duration,
    pub(super) log: Log,
}

/// A function and its sandboxes.
#[derive(Debug)]
pub(super) struct Pool {
    function: Function,
    settings: Settings,
    state: Mutex<State>,
    /// Sent to when the times of a sandbox have changed.
    hurried: watch::Sender<()>,
}

/// A caller that waits for its invocation, until it is dropped.
struct Waiting<'a> {
    pool: &'a Pool,
    invocation: &'a str,
}

#[derive(Debug)]
struct State {
    sandboxes: Sandboxes,
    /// Given to new sandboxes; `None` once the pool is closed.
    stop: Option<watch::Receiver<()>>,
}

/// Where an invocation was placed.
#[derive(Debug, PartialEq, Eq)]
enum Placement {
    Assigned,
    Queued,
    /// The pool is closed; dropping the invocation notifies its caller.
    Dropped,
}

impl Pool {
    pub(super) fn new(function: Function, settings: Settings, stop: watch::Receiver<()>) -> Self {
        let state = State {
            sandboxes: Sandboxes::new(function.timeout),
            stop: Some(stop),
        };
        Self {
            function,
            settings,
            state: Mutex::new(state),
            hurried: watch::Sender::new(()),
        }
    }

    pub(super) fn function(&self) -> &Function {
        &self.function
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(super) fn process_ids(&self) -> Vec<u32> {
        self.lock().sandboxes.process_ids()
    }

    /// Runs an event in an idle sandbox, else a new one, else the first to become free within the function's
    /// time limit. The invocation continues if the caller stops waiting, unless the function streams.
    pub(super) async fn invoke(self: &Arc<Self>, id: String, payload: Bytes) -> Outcome {
        let (reply, mut outcome) = oneshot::channel();
        let invocation = Invocation {
            id: id.clone(),
            payload,
            reply,
        };
        let _waiting = Waiting {
            pool: self,
            invocation: &id,
        };
        let place = self.place(&mut self.lock(), invocation);
        if place == Placement::Queued {
            let waited = tokio::time::timeout(self.function.timeout, &mut outcome).await;
            match waited {
                Ok(outcome) => return outcome.unwrap_or_else(|_| self.stopping()),
                Err(_) if self.lock().sandboxes.withdraw(&id) => return self.busy(),
                // It left the queue in time; from here on the sandbox's deadline applies.
                Err(_) => {}
            }
        }
        outcome.await.unwrap_or_else(|_| self.stopping())
    }

    /// Accepts no more invocations and drops the queued ones.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.stop = None;
        state.sandboxes.clear_queue();
    }

    pub(super) fn started(&self, sandbox: u64, process: Option<u32>) {
        self.lock().sandboxes.started(sandbox, process);
    }

    /// A sandbox requests its next event. The receiver fails if the sandbox is ending.
    pub(super) fn next(&self, sandbox: u64) -> oneshot::Receiver<Event> {
        let (asking, event) = oneshot::channel();
        let left = self.lock().sandboxes.ask(sandbox, asking);
        if let Some(caller) = left {
            let message = "it requested the next event without responding to the last one";
            let error = self.failed("Runtime.NoResponse", message.to_owned());
            let _ = caller.send(Outcome::Failed(error));
        }
        event
    }

    /// See [`Sandboxes::caller`].
    pub(super) fn caller(&self, sandbox: u64, invocation: &str) -> Option<Caller> {
        self.lock().sandboxes.caller(sandbox, invocation)
    }

    /// See [`Sandboxes::finish`].
    pub(super) fn finish(&self, sandbox: u64, invocation: &str) {
        self.lock().sandboxes.finish(sandbox, invocation);
    }

    /// The init phase of a sandbox failed: reports that to the waiting caller.
    pub(super) fn init_failed(&self, sandbox: u64, error: FunctionError) {
        let assigned = self.lock().sandboxes.take_assigned(sandbox);
        if let Some(invocation) = assigned {
            let _ = invocation.reply.send(Outcome::Failed(error));
        }
    }

    /// Changes whenever a sandbox must be judged before the time that was said.
    pub(super) fn hurried(&self) -> watch::Receiver<()> {
        self.hurried.subscribe()
    }

    /// Applies a sandbox's time limits; the caller of one that missed its deadline gets an error.
    pub(super) fn apply_limits(&self, sandbox: u64) -> Verdict {
        let (verdict, caller) = self
            .lock()
            .sandboxes
            .apply_limits(sandbox, self.settings.idle);
        if let Some(caller) = caller {
            let _ = caller.send(Outcome::Failed(self.expired()));
        }
        verdict
    }

    /// Until when the last output of an exited sandbox may still be delivered.
    pub(super) fn deadline(&self, sandbox: u64) -> Option<Instant> {
        self.lock().sandboxes.deadline(sandbox)
    }

    /// Removes an exited sandbox; its caller gets `why` as error. An assigned event that it never fetched
    /// goes to another sandbox, unless this one failed to start.
    pub(super) fn exited(self: &Arc<Self>, sandbox: u64, why: &str) {
        let mut state = self.lock();
        let Some(removed) = state.sandboxes.remove(sandbox) else {
            return;
        };
        let exit = || Outcome::Failed(self.failed("Runtime.ExitError", why.to_owned()));
        if let Some(caller) = removed.caller {
            let _ = caller.send(exit());
        }
        match removed.unseen {
            Some(invocation) if removed.was_ready => {
                self.place(&mut state, invocation);
            }
            Some(invocation) => {
                let _ = invocation.reply.send(exit());
            }
            None => {}
        }
        // A sandbox slot is free for a queued invocation.
        if state.sandboxes.len() < self.settings.max_sandboxes
            && let Some(invocation) = state.sandboxes.next_queued()
        {
            self.place(&mut state, invocation);
        }
    }

    /// An error of this function.
    pub(super) fn failed(&self, error_type: &str, error_message: String) -> FunctionError {
        self.error(ErrorKind::Failed, error_type, error_message)
    }

    fn place(self: &Arc<Self>, state: &mut State, invocation: Invocation) -> Placement {
        let Some(stop) = state.stop.clone() else {
            return Placement::Dropped;
        };
        let Some(invocation) = state.sandboxes.assign(invocation) else {
            return Placement::Assigned;
        };
        if state.sandboxes.len() >= self.settings.max_sandboxes {
            state.sandboxes.enqueue(invocation);
            return Placement::Queued;
        }
        let sandbox = state.sandboxes.add(invocation);
        tokio::spawn(sandbox::supervise(Arc::clone(self), sandbox, stop));
        Placement::Assigned
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics under the lock, so the state is consistent even if poisoned.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn expired(&self) -> FunctionError {
        let seconds = self.function.timeout.as_secs();
        let message = format!(
            "it missed its deadline of {seconds} s (`Timeout` in the template) and was killed"
        );
        self.error(ErrorKind::Deadline, "Sandbox.Timedout", message)
    }

    fn busy(&self) -> Outcome {
        let (most, seconds) = (self.settings.max_sandboxes, self.function.timeout.as_secs());
        let message = format!(
            "all its {most} sandboxes were busy for {seconds} s; try again, or allow more sandboxes"
        );
        Outcome::Failed(self.error(ErrorKind::Busy, "TooManyRequestsException", message))
    }

    fn stopping(&self) -> Outcome {
        let message = "the gateway is stopping".to_owned();
        Outcome::Failed(self.error(ErrorKind::Busy, "ServiceException", message))
    }

    fn error(&self, kind: ErrorKind, error_type: &str, error_message: String) -> FunctionError {
        let (function, error_type) = (self.function.binary.clone(), error_type.to_owned());
        FunctionError {
            function,
            error_type,
            error_message,
            kind,
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let pool = self.pool;
        // Where the outcome is there, no sandbox has the invocation with a caller.
        if pool.function.streams && pool.lock().sandboxes.leave(self.invocation, ABANDONED) {
            pool.hurried.send_replace(());
        }
    }
}
