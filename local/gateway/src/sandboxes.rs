//! The bookkeeping of one function's sandboxes: idle ones, current invocations, the queue.
//!
//! Processes and connections are elsewhere, so nothing here waits and everything fits behind one lock.

use std::{
    collections::{HashMap, VecDeque},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tokio::{sync::oneshot, time::Instant};

use super::invocation::{Event, Invocation, Outcome};

/// Time limit until a sandbox requests its first event, in addition to the function's own. Lambda allows
/// 10 s for the init phase, then retries it within the function's limit.
const INIT_LIMIT: Duration = Duration::from_secs(10);

/// Receives the outcome of an invocation.
pub(super) type Caller = oneshot::Sender<Outcome>;

/// What to do with a sandbox.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing until this time.
    Fine(Instant),
    /// It missed a deadline: kill it.
    Expired,
    /// It works on an answer that nobody waits for: kill it.
    Abandoned,
    /// Idle for too long: end it.
    Retired,
}

/// What a removed sandbox leaves behind.
#[derive(Debug)]
pub(super) struct Removed {
    /// The caller of its current invocation.
    pub(super) caller: Option<Caller>,
    /// An assigned invocation that it never fetched.
    pub(super) unseen: Option<Invocation>,
    /// Whether it had completed its init phase.
    pub(super) was_ready: bool,
}

/// The sandboxes of one function.
#[derive(Debug)]
pub(super) struct Sandboxes {
    /// The function's time limit.
    timeout: Duration,
    all: HashMap<u64, Sandbox>,
    /// Most recently used last: it is used next, so that the others can expire.
    idle: Vec<u64>,
    queued: VecDeque<Invocation>,
    next_id: u64,
}

#[derive(Debug, Default)]
struct Sandbox {
    process: Option<u32>,
    /// Whether its init phase is over: it has requested an event.
    ready: bool,
    /// Whether it is being ended, so that it gets no more events.
    ending: bool,
    /// Set while it is idle.
    idle_since: Option<Instant>,
    /// Set while it is busy: the time by which it must request an event or respond.
    deadline: Option<Instant>,
    /// The invocation that it gets on its next request.
    assigned: Option<Invocation>,
    /// Its pending request for the next event.
    asking: Option<oneshot::Sender<Event>>,
    current: Option<Current>,
}

/// The current invocation of a sandbox.
#[derive(Debug)]
struct Current {
    id: String,
    /// `None` once the caller has the response, or its beginning.
    caller: Option<Caller>,
}

impl Sandboxes {
    pub(super) fn new(timeout: Duration) -> Self {
        let (all, idle, queued) = (HashMap::new(), Vec::new(), VecDeque::new());
        Self {
            timeout,
            all,
            idle,
            queued,
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

    /// Adds a sandbox to be started for an invocation, and returns its number.
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

    /// Assigns an invocation to an idle sandbox; returns it if none is idle.
    pub(super) fn assign(&mut self, mut invocation: Invocation) -> Option<Invocation> {
        while let Some(id) = self.idle.pop() {
            if let Some(sandbox) = self.all.get_mut(&id) {
                invocation = sandbox.take(invocation, self.timeout)?;
            }
        }
        Some(invocation)
    }

    /// Appends an invocation to the queue.
    pub(super) fn enqueue(&mut self, invocation: Invocation) {
        self.queued.push_back(invocation);
    }

    /// Removes an invocation from the queue; false if it is no longer there.
    pub(super) fn withdraw(&mut self, invocation: &str) -> bool {
        let before = self.queued.len();
        self.queued.retain(|waiting| waiting.id != invocation);
        self.queued.len() < before
    }

    /// Removes the first queued invocation whose caller still waits.
    pub(super) fn next_queued(&mut self) -> Option<Invocation> {
        std::iter::from_fn(|| self.queued.pop_front()).find(|waiting| !waiting.reply.is_closed())
    }

    /// The caller of an invocation has left. A sandbox that works on it has `limit` left to begin its
    /// answer; whether there is one.
    pub(super) fn leave(&mut self, invocation: &str, limit: Duration) -> bool {
        for sandbox in self.all.values_mut() {
            let is_it = |current: &Current| current.id == invocation && current.caller.is_some();
            if sandbox.current.as_ref().is_some_and(is_it) {
                let end = Instant::now() + limit;
                sandbox.deadline = Some(sandbox.deadline.map_or(end, |deadline| deadline.min(end)));
                return true;
            }
            // It has not seen it, and need not.
            sandbox
                .assigned
                .take_if(|assigned| assigned.id == invocation);
        }
        false
    }

    pub(super) fn clear_queue(&mut self) {
        self.queued.clear();
    }

    /// A sandbox requests its next event, which is sent now, later, or never if it is ending. Returns the
    /// caller of an invocation that it left without a response.
    pub(super) fn ask(&mut self, id: u64, asking: oneshot::Sender<Event>) -> Option<Caller> {
        let sandbox = self.all.get_mut(&id).filter(|sandbox| !sandbox.ending)?;
        let left = sandbox.current.take().and_then(|current| current.caller);
        sandbox.ready = true;
        sandbox.asking = Some(asking);
        if let Some(invocation) = sandbox.assigned.take() {
            // The requester exists, so the invocation cannot come back.
            let _ = sandbox.take(invocation, self.timeout);
        } else if sandbox.idle_since.is_none() {
            self.release(id);
        }
        left
    }

    /// Takes the caller of `invocation` if that is the sandbox's current one. The sandbox stays busy until
    /// [`Sandboxes::finish`].
    pub(super) fn caller(&mut self, id: u64, invocation: &str) -> Option<Caller> {
        let current = self.all.get_mut(&id)?.current.as_mut()?;
        if current.id == invocation {
            current.caller.take()
        } else {
            None
        }
    }

    /// A sandbox has finished an invocation and may be assigned another, even before it requests it.
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

    /// Takes a sandbox's assigned invocation.
    pub(super) fn take_assigned(&mut self, id: u64) -> Option<Invocation> {
        self.all.get_mut(&id)?.assigned.take()
    }

    /// Applies a sandbox's time limits; one that is not fine gets no more events, and the caller of its current
    /// or assigned invocation is returned. A later invocation has a deadline after the returned time, so nothing
    /// needs to wake the watcher for each invocation.
    pub(super) fn apply_limits(&mut self, id: u64, idle: Duration) -> (Verdict, Option<Caller>) {
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
        let caller = current.or(assigned);
        if caller.as_ref().is_some_and(Caller::is_closed) {
            return (Verdict::Abandoned, None);
        }
        (Verdict::Expired, caller)
    }

    /// The deadline of the current invocation.
    pub(super) fn deadline(&self, id: u64) -> Option<Instant> {
        self.all
            .get(&id)
            .filter(|sandbox| sandbox.current.is_some())?
            .deadline
    }

    pub(super) fn remove(&mut self, id: u64) -> Option<Removed> {
        self.idle.retain(|idle| *idle != id);
        let Sandbox {
            current,
            assigned,
            ready,
            ..
        } = self.all.remove(&id)?;
        let caller = current.and_then(|current| current.caller);
        Some(Removed {
            caller,
            unseen: assigned,
            was_ready: ready,
        })
    }

    /// Marks a sandbox as free: it gets the first queued invocation, or becomes idle.
    fn release(&mut self, id: u64) {
        if self.all.get(&id).is_none_or(|sandbox| sandbox.ending) {
            return;
        }
        let next = self.next_queued();
        let Some(sandbox) = self.all.get_mut(&id) else {
            return;
        };
        if let Some(invocation) = next {
            if let Some(back) = sandbox.take(invocation, self.timeout) {
                self.queued.push_front(back);
            }
        } else {
            sandbox.deadline = None;
            sandbox.idle_since = Some(Instant::now());
            self.idle.push(id);
        }
    }
}

impl Sandbox {
    /// Delivers an invocation to the pending request; returns it if that connection is gone. The sandbox
    /// then has its time limit to request again.
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
