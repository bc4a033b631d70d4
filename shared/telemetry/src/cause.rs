//! Formats errors and panics for the log, or for a terminal.

use std::{any::Any, error::Error};

/// An error with its source chain, without repetitions.
#[must_use]
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        // A transparent error repeats its source's text.
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

/// A panic. Only a static message is included: others may quote the input.
#[must_use]
pub fn of_panic(panic: &(dyn Any + Send)) -> String {
    let words = panic.downcast_ref::<&str>().copied();
    format!("panic: {}", words.unwrap_or("the log has its place"))
}

#[cfg(test)]
mod tests {
    use std::panic;

    use super::of_panic;

    #[test]
    fn a_panic_is_reported_with_constant_text_only() {
        let told = |work: fn()| {
            let panic = panic::catch_unwind(work).expect_err("it panics");
            of_panic(&*panic)
        };
        assert_eq!(told(|| panic!("a bug")), "panic: a bug");
        let quoting = told(|| {
            let text = String::from("a document's text");
            panic!("{text}")
        });
        assert_eq!(quoting, "panic: the log has its place");
    }
}
