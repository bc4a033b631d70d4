//! The sandboxes of one function, as numbers: who is idle, who works on what, and who waits in line.
//!
//! The processes and their connections are elsewhere, so nothing here waits and all of it can stand
//! behind one lock.

use std::{
    collections::{HashMap, VecDeque},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tokio::{sync::oneshot, time::Instant};

use super::invocation::{Event, Invocation, Outcome};

/// How long a sandbox may take to ask for its first event, on top of the function's own limit. Lambda
/// gives 10 s to the init phase, and then one more try within the function's limit.
const INIT_LIMIT: Duration = Duration::from_secs(10);

/// Where the outcome of an invocation is awaited.
pub(super) type Caller = oneshot::Sender<Outcome>;

/// What is to be done with a sandbox now.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing before this time.
    Fine(Instant),
    /// It missed a deadline: kill it.
    Expired,
    /// It was idle for too long: end it.
    Retired,
}

/// What a sandbox that has ended leaves behind.
#[derive(Debug)]
pub(super) struct Estate {
    /// Who waits for what it worked on.
    pub(super) caller: Option<Caller>,
    /// What it was to get and never saw.
    pub(super) unseen: Option<Invocation>,
    /// Whether it had ever asked for an event.
    pub(super) was_ready: bool,
}

/// The sandboxes of one function.
#[derive(Debug)]
pub(super) struct Sandboxes {
    /// The function's time limit.
    timeout: Duration,
    all: HashMap<u64, Sandbox>,
    /// The most recently used last: it is used next, so that the others may be reaped.
    idle: Vec<u64>,
    line: VecDeque<Invocation>,
    next_id: u64,
}

#[derive(Debug, Default)]
struct Sandbox {
    process: Option<u32>,
    /// Whether it has asked for an event, so that its init phase is over.
    ready: bool,
    /// Whether it is being ended, so that it gets no more events.
    ending: bool,
    /// Set while it is idle.
    idle_since: Option<Instant>,
    /// Set while it is not idle: until then it must have asked or answered.
    deadline: Option<Instant>,
    /// What it gets when it asks for its next event.
    assigned: Option<Invocation>,
    /// Its open request for the next event.
    asking: Option<oneshot::Sender<Event>>,
    current: Option<Current>,
}

/// The invocation a sandbox works on.
#[derive(Debug)]
struct Current {
    id: String,
    /// None once the caller has its answer, or the beginning of it.
    caller: Option<Caller>,
}

impl Sandboxes {
    pub(super) fn new(timeout: Duration) -> Self {
        let (all, idle, line) = (HashMap::new(), Vec::new(), VecDeque::new());
        Self {
            timeout,
            all,
            idle,
            line,
            next_id: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    pub(super) fn process_ids(&self) -> Vec<u32> {
        self.all
            .values()
            .filter_map(|sandbox| sandbox.process)
            .collect()
    }

    /// Adds a sandbox that is to start for an invocation, and returns its number.
    pub(super) fn add(&mut self, invocation: Invocation) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        let deadline = Some(Instant::now() + INIT_LIMIT + self.timeout);
        self.all.insert(
            id,
            Sandbox {
                deadline,
                assigned: Some(invocation),
                ..Sandbox::default()
            },
        );
        id
    }

    pub(super) fn started(&mut self, id: u64, process: Option<u32>) {
        if let Some(sandbox) = self.all.get_mut(&id) {
            sandbox.process = process;
        }
    }

    /// Gives an invocation to an idle sandbox; it comes back if none is idle.
    pub(super) fn give(&mut self, mut invocation: Invocation) -> Option<Invocation> {
        while let Some(id) = self.idle.pop() {
            if let Some(sandbox) = self.all.get_mut(&id) {
                invocation = sandbox.take(invocation, self.timeout)?;
            }
        }
        Some(invocation)
    }

    /// Puts an invocation at the end of the line.
    pub(super) fn queue(&mut self, invocation: Invocation) {
        self.line.push_back(invocation);
    }

    /// Takes an invocation out of the line; false if it is no longer in it.
    pub(super) fn withdraw(&mut self, invocation: &str) -> bool {
        let before = self.line.len();
        self.line.retain(|waiting| waiting.id != invocation);
        self.line.len() < before
    }

    /// Takes the first in line whose caller still waits.
    pub(super) fn first_in_line(&mut self) -> Option<Invocation> {
        std::iter::from_fn(|| self.line.pop_front()).find(|waiting| !waiting.reply.is_closed())
    }

    pub(super) fn clear_line(&mut self) {
        self.line.clear();
    }

    /// A sandbox asks for its next event, which is sent now or later, or never if it is to end. Returns
    /// the caller of an invocation that it has left without an answer.
    pub(super) fn ask(&mut self, id: u64, asking: oneshot::Sender<Event>) -> Option<Caller> {
        let sandbox = self.all.get_mut(&id).filter(|sandbox| !sandbox.ending)?;
        let left = sandbox.current.take().and_then(|current| current.caller);
        sandbox.ready = true;
        sandbox.asking = Some(asking);
        if let Some(invocation) = sandbox.assigned.take() {
            // Whoever asks is there, so it cannot come back.
            let _ = sandbox.take(invocation, self.timeout);
        } else if sandbox.idle_since.is_none() {
            self.release(id);
        }
        left
    }

    /// Who waits for an invocation that a sandbox answers now, if that is the one it works on. The
    /// sandbox stays busy until [`Sandboxes::finish`].
    pub(super) fn caller(&mut self, id: u64, invocation: &str) -> Option<Caller> {
        let current = self.all.get_mut(&id)?.current.as_mut()?;
        if current.id == invocation {
            current.caller.take()
        } else {
            None
        }
    }

    /// A sandbox has ended an invocation and may have another, even before it asks for it.
    pub(super) fn finish(&mut self, id: u64, invocation: &str) {
        let sandbox = self.all.get_mut(&id);
        if sandbox.is_some_and(|sandbox| {
            sandbox
                .current
                .take_if(|current| current.id == invocation)
                .is_some()
        }) {
            self.release(id);
        }
    }

    /// Takes from a sandbox what it was to get next.
    pub(super) fn take_assigned(&mut self, id: u64) -> Option<Invocation> {
        self.all.get_mut(&id)?.assigned.take()
    }

    /// Judges a sandbox by its times; one that is not fine gets no more events, and the caller it worked
    /// or was to work for is returned. An invocation that begins later has a deadline later than the time
    /// of the next look, so nobody need be woken for every invocation.
    pub(super) fn judge(&mut self, id: u64, idle: Duration) -> (Verdict, Option<Caller>) {
        let now = Instant::now();
        let soon = now + self.timeout;
        let Some(sandbox) = self.all.get_mut(&id) else {
            return (Verdict::Retired, None);
        };
        let retired = sandbox.idle_since.map(|since| since + idle);
        let end = retired.or(sandbox.deadline).unwrap_or(soon);
        if end > now {
            return (Verdict::Fine(end.min(soon)), None);
        }
        sandbox.ending = true;
        if retired.is_some() {
            self.idle.retain(|idle| *idle != id);
            return (Verdict::Retired, None);
        }
        let current = sandbox.current.take().and_then(|current| current.caller);
        let assigned = sandbox.assigned.take().map(|invocation| invocation.reply);
        (Verdict::Expired, current.or(assigned))
    }

    /// The deadline of what a sandbox works on.
    pub(super) fn deadline(&self, id: u64) -> Option<Instant> {
        self.all
            .get(&id)
            .filter(|sandbox| sandbox.current.is_some())?
            .deadline
    }

    pub(super) fn remove(&mut self, id: u64) -> Option<Estate> {
        self.idle.retain(|idle| *idle != id);
        let Sandbox {
            current,
            assigned,
            ready,
            ..
        } = self.all.remove(&id)?;
        let caller = current.and_then(|current| current.caller);
        Some(Estate {
            caller,
            unseen: assigned,
            was_ready: ready,
        })
    }

    /// A sandbox is free: it takes the first in line, or is idle.
    fn release(&mut self, id: u64) {
        if self.all.get(&id).is_none_or(|sandbox| sandbox.ending) {
            return;
        }
        let next = self.first_in_line();
        let Some(sandbox) = self.all.get_mut(&id) else {
            return;
        };
        if let Some(invocation) = next {
            if let Some(back) = sandbox.take(invocation, self.timeout) {
                self.line.push_front(back);
            }
        } else {
            sandbox.deadline = None;
            sandbox.idle_since = Some(Instant::now());
            self.idle.push(id);
        }
    }
}

impl Sandbox {
    /// Takes an invocation, which comes back if the connection that asked for one is gone. The sandbox
    /// then has its time limit to ask again.
    fn take(&mut self, invocation: Invocation, timeout: Duration) -> Option<Invocation> {
        self.idle_since = None;
        self.deadline = Some(Instant::now() + timeout);
        let Some(asking) = self.asking.take() else {
            self.assigned = Some(invocation);
            return None;
        };
        let Invocation { id, payload, reply } = invocation;
        let since_1970 = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let deadline = (since_1970 + timeout).as_millis();
        match asking.send(Event {
            id: id.clone(),
            payload,
            deadline,
        }) {
            Ok(()) => {
                self.current = Some(Current {
                    id,
                    caller: Some(reply),
                });
                None
            }
            Err(Event { payload, .. }) => Some(Invocation { id, payload, reply }),
        }
    }
}
