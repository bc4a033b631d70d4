//! One function: its sandboxes, how they are run, and what is said when one fails.

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

/// How a pool runs its function.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) executable: PathBuf,
    pub(super) environment: Vec<(String, String)>,
    pub(super) max_sandboxes: usize,
    pub(super) idle: Duration,
    pub(super) log: Log,
}

/// A function with its sandboxes.
#[derive(Debug)]
pub(super) struct Pool {
    function: Function,
    settings: Settings,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    sandboxes: Sandboxes,
    /// What new sandboxes watch; none once the pool is closed.
    stop: Option<watch::Receiver<()>>,
}

/// Where an invocation is after it was placed.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    InSandbox,
    InLine,
    /// The pool is closed; the caller hears that its invocation was dropped.
    Nowhere,
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

    /// Runs one event through a sandbox: an idle one, else a new one, else the first to be free within
    /// the function's time limit. The invocation goes on if the caller does not wait for it.
    pub(super) async fn invoke(self: &Arc<Self>, id: String, payload: Bytes) -> Outcome {
        let (reply, mut outcome) = oneshot::channel();
        let invocation = Invocation {
            id: id.clone(),
            payload,
            reply,
        };
        let place = self.place(&mut self.lock(), invocation);
        if place == Place::InLine {
            let waited = tokio::time::timeout(self.function.timeout, &mut outcome).await;
            match waited {
                Ok(outcome) => return outcome.unwrap_or_else(|_| self.stopping()),
                Err(_) if self.lock().sandboxes.withdraw(&id) => return self.busy(),
                // It left the line in time; from there on the sandbox's deadline holds.
                Err(_) => {}
            }
        }
        outcome.await.unwrap_or_else(|_| self.stopping())
    }

    /// Takes no more invocations and gives up on those in line.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.stop = None;
        state.sandboxes.clear_line();
    }

    pub(super) fn started(&self, sandbox: u64, process: Option<u32>) {
        self.lock().sandboxes.started(sandbox, process);
    }

    /// A sandbox asks for its next event. The receiver fails for one that gets no more.
    pub(super) fn next(&self, sandbox: u64) -> oneshot::Receiver<Event> {
        let (asking, event) = oneshot::channel();
        let left = self.lock().sandboxes.ask(sandbox, asking);
        if let Some(caller) = left {
            let message = "it asked for the next event without an answer to the last one";
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

    /// The init phase of a sandbox failed: whoever waits for it hears why.
    pub(super) fn init_failed(&self, sandbox: u64, error: FunctionError) {
        let assigned = self.lock().sandboxes.take_assigned(sandbox);
        if let Some(invocation) = assigned {
            let _ = invocation.reply.send(Outcome::Failed(error));
        }
    }

    /// Judges a sandbox by its times; the caller of one that missed its deadline is told.
    pub(super) fn judge(&self, sandbox: u64) -> Verdict {
        let (verdict, caller) = self.lock().sandboxes.judge(sandbox, self.settings.idle);
        if let Some(caller) = caller {
            let _ = caller.send(Outcome::Failed(self.expired()));
        }
        verdict
    }

    /// Until when a sandbox that has exited may still deliver what it wrote before.
    pub(super) fn deadline(&self, sandbox: u64) -> Option<Instant> {
        self.lock().sandboxes.deadline(sandbox)
    }

    /// Forgets a sandbox that has ended; `why` is told to its caller. An event that it was to get and
    /// never saw goes to another one, unless it could not even start.
    pub(super) fn ended(self: &Arc<Self>, sandbox: u64, why: &str) {
        let mut state = self.lock();
        let Some(estate) = state.sandboxes.remove(sandbox) else {
            return;
        };
        let exit = || Outcome::Failed(self.failed("Runtime.ExitError", why.to_owned()));
        if let Some(caller) = estate.caller {
            let _ = caller.send(exit());
        }
        match estate.unseen {
            Some(invocation) if estate.was_ready => {
                self.place(&mut state, invocation);
            }
            Some(invocation) => {
                let _ = invocation.reply.send(exit());
            }
            None => {}
        }
        // Its place is free for whoever waits in line.
        if state.sandboxes.len() < self.settings.max_sandboxes
            && let Some(invocation) = state.sandboxes.first_in_line()
        {
            self.place(&mut state, invocation);
        }
    }

    /// An error of this function.
    pub(super) fn failed(&self, error_type: &str, error_message: String) -> FunctionError {
        self.error(ErrorKind::Failed, error_type, error_message)
    }

    fn place(self: &Arc<Self>, state: &mut State, invocation: Invocation) -> Place {
        let Some(stop) = state.stop.clone() else {
            return Place::Nowhere;
        };
        let Some(invocation) = state.sandboxes.give(invocation) else {
            return Place::InSandbox;
        };
        if state.sandboxes.len() >= self.settings.max_sandboxes {
            state.sandboxes.queue(invocation);
            return Place::InLine;
        }
        let sandbox = state.sandboxes.add(invocation);
        tokio::spawn(sandbox::supervise(Arc::clone(self), sandbox, stop));
        Place::InSandbox
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code that may panic runs under the lock, so the state is whole even if it is poisoned.
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
        let message =
            format!("all its {most} sandboxes were busy for {seconds} s; try again, or allow more");
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
