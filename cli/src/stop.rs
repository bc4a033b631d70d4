//! Ctrl-C and SIGTERM during a command.

use std::{
    fmt, io, process,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
};

use crate::terminal::note;

/// Whether the command should end. Listening for the signals replaces the shell's handling, which lets background
/// jobs ignore SIGINT.
#[derive(Clone, Debug)]
pub(crate) struct Stop {
    requested: watch::Receiver<Option<Interrupted>>,
    /// Whether Ctrl-C ends less than the command.
    spared: Arc<AtomicBool>,
}

/// A time in which Ctrl-C does not end the command; it lasts until this is dropped.
pub(crate) struct Spared<'a>(&'a Stop);

/// The signal that interrupted a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interrupted {
    /// Ctrl-C.
    Int,
    /// SIGTERM.
    Term,
}

impl Stop {
    /// Listens until the process ends. A second signal ends it immediately.
    ///
    /// # Errors
    /// When the signal handlers cannot be installed.
    pub(crate) fn listen() -> io::Result<Self> {
        let mut int = signal(SignalKind::interrupt())?;
        let mut term = signal(SignalKind::terminate())?;
        let (sender, requested) = watch::channel(None);
        let spared = Arc::new(AtomicBool::new(false));
        let spare = Arc::clone(&spared);
        tokio::spawn(async move {
            loop {
                let interrupted = tokio::select! {
                    _ = int.recv() => {
                        if spare.load(Ordering::Relaxed) {
                            continue;
                        }
                        Interrupted::Int
                    }
                    _ = term.recv() => Interrupted::Term,
                };
                if sender.borrow().is_some() {
                    note("stopped at once");
                    process::exit(i32::from(interrupted.status()));
                }
                sender.send_replace(Some(interrupted));
            }
        });
        Ok(Self { requested, spared })
    }

    /// For work that its caller drops at a signal.
    pub(crate) fn never() -> Self {
        Self {
            requested: watch::channel(None).1,
            spared: Arc::default(),
        }
    }

    /// Leaves Ctrl-C to others, who listen for it themselves.
    pub(crate) fn spare(&self) -> Spared<'_> {
        self.spared.store(true, Ordering::Relaxed);
        Spared(self)
    }

    /// Waits for the first signal.
    pub(crate) async fn requested(&self) -> Interrupted {
        let mut receiver = self.requested.clone();
        let requested = receiver.wait_for(Option::is_some).await;
        match requested.map(|requested| *requested) {
            Ok(Some(interrupted)) => interrupted,
            // There is no listener.
            Ok(None) | Err(_) => std::future::pending().await,
        }
    }

    /// Runs `work`, or drops it at the first signal.
    ///
    /// # Errors
    /// The error of `work`, or [`Interrupted`].
    pub(crate) async fn or<T>(
        &self,
        work: impl Future<Output = anyhow::Result<T>>,
    ) -> anyhow::Result<T> {
        tokio::select! {
            outcome = work => outcome,
            interrupted = self.requested() => Err(interrupted.into()),
        }
    }
}

impl Drop for Spared<'_> {
    fn drop(&mut self) {
        self.0.spared.store(false, Ordering::Relaxed);
    }
}

impl Interrupted {
    /// The exit status that shells report for a process ended by this signal.
    pub(crate) fn status(self) -> u8 {
        match self {
            Self::Int => 130,
            Self::Term => 143,
        }
    }
}

/// Whether a signal ended the work.
pub(crate) fn is_interrupted<T>(outcome: &anyhow::Result<T>) -> bool {
    outcome
        .as_ref()
        .is_err_and(anyhow::Error::is::<Interrupted>)
}

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("interrupted")
    }
}

impl std::error::Error for Interrupted {}

/// An outcome that is printed already; only its exit status is left to report.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reported(pub(crate) u8);

impl fmt::Display for Reported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ended with {}", self.0)
    }
}

impl std::error::Error for Reported {}
