//! Where questions come from.

use std::{io, thread};

use tokio::sync::mpsc;

use super::conversation::show;

/// A terminal.
pub(super) struct Input(Piped);

/// What somebody did at the prompt.
pub(super) enum Said {
    /// A line.
    Line(String),
    /// Enter alone.
    Nothing,
    /// Ctrl-C.
    Interrupted,
    /// Ctrl-D, or a terminal that is closed.
    End,
}

/// Lines of a pipe or a file.
pub(super) struct Piped(mpsc::Receiver<io::Result<String>>);

impl Input {
    /// The terminal's.
    pub(super) fn terminal() -> Self {
        Self(Self::piped())
    }

    /// The lines of stdin. The thread that reads them is left behind at the end of a conversation, since
    /// nothing but a line ends its wait.
    pub(super) fn piped() -> Piped {
        let (sender, lines) = mpsc::channel(1);
        thread::spawn(move || {
            let mut stdin = io::stdin().lock();
            while let Some(line) = line(&mut stdin).transpose() {
                if sender.blocking_send(line).is_err() {
                    break;
                }
            }
        });
        Piped(lines)
    }

    /// Shows the prompt and waits for what is typed.
    ///
    /// # Errors
    /// When the terminal fails.
    pub(super) async fn say(&mut self) -> anyhow::Result<Said> {
        show("> ")?;
        tokio::select! {
            line = self.0.next_line() => Ok(match line? {
                None => Said::End,
                Some(line) if line.trim().is_empty() => Said::Nothing,
                Some(line) => Said::Line(line),
            }),
            interrupted = tokio::signal::ctrl_c() => {
                interrupted?;
                Ok(Said::Interrupted)
            }
        }
    }
}

impl Piped {
    /// The next line, without its end; `None` after the last.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(super) async fn next_line(&mut self) -> io::Result<Option<String>> {
        self.0.recv().await.transpose()
    }
}

/// A line whose bytes may be any.
fn line(input: &mut impl io::BufRead) -> io::Result<Option<String>> {
    let mut bytes = Vec::new();
    if input.read_until(b'\n', &mut bytes)? == 0 {
        return Ok(None);
    }
    let line = String::from_utf8_lossy(&bytes);
    Ok(Some(line.trim_end_matches(['\r', '\n']).to_owned()))
}
