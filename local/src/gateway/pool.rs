//! The sandboxes of one function: who is idle, who works on what, and who waits in line.
//!
//! All of it is one state behind one lock that is never held across an await. A sandbox is a number here;
//! the process and its connections live in the task that `sandbox::supervise` runs for it.

use std::{
    collections::{HashMap, VecDeque},
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use hyper::body::Bytes;
use tokio::{
    sync::{oneshot, watch},
    time::Instant,
};

use super::{
    invocation::{ErrorKind, Event, FunctionError, Invocation, Outcome},
    log::Log,
    sandbox,
    template::Function,
};

/// How long a sandbox may take to ask for its first event, on top of the function's own limit. Lambda
/// gives 10 s to the init phase, and then one more try within the function's limit.
const INIT_LIMIT: Duration = Duration::from_secs(10);

/// How a pool runs its function.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) executable: PathBuf,
    pub(super) environment: Vec<(String, String)>,
    pub(super) max_sandboxes: usize,
    pub(super) idle: Duration,
    pub(super) log: Log,
}

/// What is to be done with a sandbox now.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing before this time.
    Fine(Instant),
    /// It missed a deadline and its caller has been told: kill it.
    Expired,
    /// It was idle for too long and gets no more events: end it.
    Retired,
}

/// The sandboxes of one function.
#[derive(Debug)]
pub(super) struct Pool {
    function: Function,
    settings: Settings,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    sandboxes: HashMap<u64, Sandbox>,
    /// The most recently used last: it is used next, so that the others may be reaped.
    idle: Vec<u64>,
    waiting: VecDeque<Invocation>,
    next_sandbox: u64,
    /// What new sandboxes watch; none once the pool is closed.
    stop: Option<watch::Receiver<()>>,
}

/// The invocation a sandbox works on.
#[derive(Debug)]
struct Current {
    id: String,
    /// None once the caller has its answer, or the beginning of it.
    reply: Option<oneshot::Sender<Outcome>>,
}

#[derive(Debug)]
struct Sandbox {
    process: Option<u32>,
    /// Whether it has asked for an event, so that its init phase is over.
    ready: bool,
    /// Whether it is being ended, so that it gets no more events.
    ending: bool,
    /// Set while it is idle.
    idle_since: Option<Instant>,
    /// Set while it starts or works.
    deadline: Option<Instant>,
    /// What it gets when it asks for its next event.
    assigned: Option<Invocation>,
    /// Its open request for the next event.
    asking: Option<oneshot::Sender<Event>>,
    current: Option<Current>,
}

impl Pool {
    pub(super) fn new(function: Function, settings: Settings, stop: watch::Receiver<()>) -> Self {
        let state = State {
            sandboxes: HashMap::new(),
            idle: Vec::new(),
            waiting: VecDeque::new(),
            next_sandbox: 0,
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
        self.lock()
            .sandboxes
            .values()
            .filter_map(|sandbox| sandbox.process)
            .collect()
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
        if self.place(&mut self.lock(), invocation) == Placed::InLine {
            let waited = tokio::time::timeout(self.function.timeout, &mut outcome).await;
            match waited {
                Ok(outcome) => return outcome.unwrap_or_else(|_| self.stopping()),
                Err(_) if self.withdraw(&id) => return self.busy(),
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
        state.waiting.clear();
    }

    pub(super) fn started(&self, sandbox: u64, process: Option<u32>) {
        if let Some(sandbox) = self.lock().sandboxes.get_mut(&sandbox) {
            sandbox.process = process;
        }
    }

    /// A sandbox asks for its next event. The receiver stays silent for one that gets no more.
    pub(super) fn next(&self, id: u64) -> oneshot::Receiver<Event> {
        let (asking, event) = oneshot::channel();
        let mut state = self.lock();
        let Some(sandbox) = state
            .sandboxes
            .get_mut(&id)
            .filter(|sandbox| !sandbox.ending)
        else {
            return event;
        };
        sandbox.ready = true;
        if let Some(reply) = sandbox.current.take().and_then(|current| current.reply) {
            let message = "it asked for the next event without an answer to the last one";
            let _ = reply.send(Outcome::Failed(
                self.failed("Runtime.NoResponse", message.to_owned()),
            ));
        }
        sandbox.asking = Some(asking);
        if let Some(invocation) = sandbox.assigned.take() {
            // A connection that is gone by now shows in its end; the caller hears of it there.
            let _ = self.begin(sandbox, invocation);
        } else if sandbox.idle_since.is_none() {
            self.release(&mut state, id);
        }
        event
    }

    /// The caller of the invocation that a sandbox answers now, if it is the one it works on. The
    /// sandbox stays busy until [`Pool::finish`].
    pub(super) fn caller(
        &self,
        sandbox: u64,
        invocation: &str,
    ) -> Option<oneshot::Sender<Outcome>> {
        let mut state = self.lock();
        let current = state.sandboxes.get_mut(&sandbox)?.current.as_mut()?;
        if current.id == invocation {
            current.reply.take()
        } else {
            None
        }
    }

    /// The sandbox has ended its invocation and may have another, even before it asks for it.
    pub(super) fn finish(&self, id: u64) {
        let mut state = self.lock();
        if let Some(sandbox) = state.sandboxes.get_mut(&id) {
            sandbox.current = None;
            self.release(&mut state, id);
        }
    }

    /// The init phase of a sandbox failed: whoever waits for it hears why.
    pub(super) fn init_failed(&self, id: u64, error: FunctionError) {
        let mut state = self.lock();
        let assigned = state
            .sandboxes
            .get_mut(&id)
            .and_then(|sandbox| sandbox.assigned.take());
        if let Some(invocation) = assigned {
            let _ = invocation.reply.send(Outcome::Failed(error));
        }
    }

    /// Judges a sandbox by its times. An invocation that begins later has a deadline later than the time
    /// this returns, so a supervisor need not be woken for every invocation.
    pub(super) fn judge(&self, id: u64) -> Verdict {
        let now = Instant::now();
        let soon = now + self.function.timeout;
        let mut state = self.lock();
        let Some(sandbox) = state.sandboxes.get_mut(&id) else {
            return Verdict::Retired;
        };
        if let Some(end) = sandbox.idle_since.map(|since| since + self.settings.idle) {
            if end > now {
                return Verdict::Fine(end.min(soon));
            }
            sandbox.ending = true;
            state.idle.retain(|idle| *idle != id);
            return Verdict::Retired;
        }
        match sandbox.deadline {
            Some(deadline) if deadline <= now => {
                sandbox.ending = true;
                let current = sandbox.current.take().and_then(|current| current.reply);
                let assigned = sandbox.assigned.take().map(|invocation| invocation.reply);
                if let Some(reply) = current.or(assigned) {
                    let _ = reply.send(Outcome::Failed(self.expired()));
                }
                Verdict::Expired
            }
            Some(deadline) => Verdict::Fine(deadline.min(soon)),
            None => Verdict::Fine(soon),
        }
    }

    /// Until when a sandbox that has exited may still deliver what it wrote before.
    pub(super) fn deadline(&self, id: u64) -> Option<Instant> {
        self.lock()
            .sandboxes
            .get(&id)
            .filter(|sandbox| sandbox.current.is_some())?
            .deadline
    }

    /// Forgets a sandbox that has ended; `why` is told to its caller. An event that it was to get and
    /// never saw goes to another one, unless it could not even start.
    pub(super) fn ended(self: &Arc<Self>, id: u64, why: &str) {
        let mut state = self.lock();
        state.idle.retain(|idle| *idle != id);
        let Some(sandbox) = state.sandboxes.remove(&id) else {
            return;
        };
        let exit = || Outcome::Failed(self.failed("Runtime.ExitError", why.to_owned()));
        if let Some(reply) = sandbox.current.and_then(|current| current.reply) {
            let _ = reply.send(exit());
        }
        match sandbox.assigned {
            Some(invocation) if sandbox.ready => {
                self.place(&mut state, invocation);
            }
            Some(invocation) => {
                let _ = invocation.reply.send(exit());
            }
            None => {}
        }
        // Its place is free for whoever waits in line.
        if state.sandboxes.len() < self.settings.max_sandboxes
            && let Some(invocation) = state.first_in_line()
        {
            self.place(&mut state, invocation);
        }
    }

    /// An error of this function.
    pub(super) fn failed(&self, error_type: &str, error_message: String) -> FunctionError {
        self.error(ErrorKind::Failed, error_type, error_message)
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
        Outcome::Failed(self.error(
            ErrorKind::Busy,
            "ServiceException",
            "the gateway is stopping".to_owned(),
        ))
    }

    fn error(&self, kind: ErrorKind, error_type: &str, error_message: String) -> FunctionError {
        let function = self.function.binary.clone();
        FunctionError {
            function,
            error_type: error_type.to_owned(),
            error_message,
            kind,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code that may panic runs under the lock, so the state is whole even if it is poisoned.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn place(self: &Arc<Self>, state: &mut State, mut invocation: Invocation) -> Placed {
        let Some(stop) = state.stop.clone() else {
            // Dropping the invocation tells its caller.
            return Placed::Given;
        };
        while let Some(id) = state.idle.pop() {
            match self.give(state, id, invocation) {
                None => return Placed::Given,
                Some(back) => invocation = back,
            }
        }
        if state.sandboxes.len() >= self.settings.max_sandboxes {
            state.waiting.push_back(invocation);
            return Placed::InLine;
        }
        let id = state.next_sandbox;
        state.next_sandbox += 1;
        let deadline = Instant::now() + INIT_LIMIT + self.function.timeout;
        state
            .sandboxes
            .insert(id, Sandbox::starting(invocation, deadline));
        tokio::spawn(sandbox::supervise(Arc::clone(self), id, stop));
        Placed::Given
    }

    /// Gives an idle sandbox an invocation, which comes back if the sandbox is no longer there.
    fn give(&self, state: &mut State, id: u64, invocation: Invocation) -> Option<Invocation> {
        let Some(sandbox) = state.sandboxes.get_mut(&id) else {
            return Some(invocation);
        };
        sandbox.idle_since = None;
        if sandbox.asking.is_some() {
            return self.begin(sandbox, invocation);
        }
        sandbox.deadline = Some(Instant::now() + self.function.timeout);
        sandbox.assigned = Some(invocation);
        None
    }

    /// Sends an invocation to a sandbox that asks for one; it comes back if the connection is gone.
    fn begin(&self, sandbox: &mut Sandbox, invocation: Invocation) -> Option<Invocation> {
        let Invocation { id, payload, reply } = invocation;
        let since_1970 = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let deadline = (since_1970 + self.function.timeout).as_millis();
        let event = Event {
            id: id.clone(),
            payload,
            deadline,
        };
        let sent = sandbox.asking.take().map(|asking| asking.send(event));
        match sent {
            Some(Err(event)) => Some(Invocation {
                id: event.id,
                payload: event.payload,
                reply,
            }),
            _ => {
                sandbox.deadline = Some(Instant::now() + self.function.timeout);
                sandbox.current = Some(Current {
                    id,
                    reply: Some(reply),
                });
                None
            }
        }
    }

    /// A sandbox is free: it takes the first in line, or is idle.
    fn release(&self, state: &mut State, id: u64) {
        if state
            .sandboxes
            .get(&id)
            .is_none_or(|sandbox| sandbox.ending)
        {
            return;
        }
        let next = state.first_in_line();
        let Some(sandbox) = state.sandboxes.get_mut(&id) else {
            return;
        };
        sandbox.deadline = None;
        let back = match next {
            Some(invocation) => self.give(state, id, invocation),
            None => {
                sandbox.idle_since = Some(Instant::now());
                state.idle.push(id);
                None
            }
        };
        if let Some(invocation) = back {
            state.waiting.push_front(invocation);
        }
    }

    /// Leaves the line; false if the invocation is no longer in it.
    fn withdraw(&self, invocation: &str) -> bool {
        let mut state = self.lock();
        let before = state.waiting.len();
        state.waiting.retain(|waiting| waiting.id != invocation);
        state.waiting.len() < before
    }
}

/// What became of an invocation that was to be placed.
#[derive(Debug, PartialEq, Eq)]
enum Placed {
    Given,
    InLine,
}

impl State {
    /// The first in line whose caller still waits.
    fn first_in_line(&mut self) -> Option<Invocation> {
        std::iter::from_fn(|| self.waiting.pop_front())
            .find(|invocation| !invocation.reply.is_closed())
    }
}

impl Sandbox {
    fn starting(invocation: Invocation, deadline: Instant) -> Self {
        Self {
            process: None,
            ready: false,
            ending: false,
            idle_since: None,
            deadline: Some(deadline),
            assigned: Some(invocation),
            asking: None,
            current: None,
        }
    }
}
