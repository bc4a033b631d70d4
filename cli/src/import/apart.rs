//! Reading that may wait forever.

use std::thread;

use anyhow::Context as _;
use tokio::sync::oneshot;

/// Begins work that may wait forever for a pipe, on a thread that the end of the command does not wait for: the runtime's own
/// threads would hold it up.
pub(super) fn apart<T: Send + 'static>(
    work: impl FnOnce() -> anyhow::Result<T> + Send + 'static,
) -> impl Future<Output = anyhow::Result<T>> {
    let (sender, done) = oneshot::channel();
    thread::spawn(move || {
        // Nobody waits for it after the command's end.
        let _ = sender.send(work());
    });
    async move { done.await.context("reading ended without a result")? }
}

#[cfg(test)]
mod tests {
    use tokio::runtime::Runtime;

    use super::*;

    #[test]
    fn a_runtime_ends_without_what_waits_forever() {
        let runtime = Runtime::new().expect("a runtime");
        let entered = runtime.enter();
        let reading = apart(|| -> anyhow::Result<()> {
            loop {
                thread::park();
            }
        });
        drop((reading, entered));
        // Waits for the runtime's own threads.
        drop(runtime);
    }

    #[tokio::test]
    async fn what_was_read_is_returned() {
        let read = apart(|| Ok(7)).await.expect("it was read");
        assert_eq!(read, 7);
    }
}
