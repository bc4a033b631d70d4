//! Failed attempts of a request: whether it is repeated, and which error is reported.

use std::time::Duration;

use tokio::time::Instant;

use super::{
    LanguageModelError,
    error::{Class, Refusal},
    refusal::EndpointError,
};

/// The failed attempts of a request, over all of which it is retried.
pub(super) struct Attempts {
    failed: u32,
    /// The longest pause before the next one.
    longest: Duration,
}

/// A failed attempt.
pub(super) struct Failure {
    pub(super) error: LanguageModelError,
    pub(super) again: Again,
    /// The endpoint's error, if any.
    pub(super) said: Option<EndpointError>,
}

/// Whether to retry: after this pause, if given.
pub(super) enum Again {
    No,
    Soon,
    After(Duration),
}

/// Retries of a failed attempt.
const RETRIES: u32 = 3;
/// The longest pause before the first retry; each further one may be twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

impl Again {
    pub(super) fn after(refusal: &Refusal) -> Self {
        let failing = refusal.status.is_some_and(|status| status >= 500);
        match refusal.class {
            Class::Busy => refusal.retry_after.map_or(Self::Soon, Self::After),
            Class::Other if failing => refusal.retry_after.map_or(Self::Soon, Self::After),
            _ => Self::No,
        }
    }
}

impl Default for Attempts {
    fn default() -> Self {
        Self {
            failed: 0,
            longest: FIRST_PAUSE,
        }
    }
}

impl Attempts {
    /// Waits before the next attempt.
    ///
    /// # Errors
    /// The error of the last attempt, if there must be no other or it would begin after `until`.
    pub(super) async fn pause(
        &mut self,
        failure: Failure,
        until: Instant,
    ) -> Result<(), LanguageModelError> {
        // Sandboxes refused together must not retry together.
        let backoff = self.longest.mul_f64(fastrand::f64().midpoint(1.0));
        let pause = match failure.again {
            Again::No => None,
            Again::Soon => Some(backoff),
            Again::After(pause) => Some(pause.max(backoff)),
        };
        self.failed += 1;
        let in_time = |pause: &Duration| self.failed <= RETRIES && Instant::now() + *pause < until;
        let Some(pause) = pause.filter(in_time) else {
            return Err(failure.error);
        };
        tracing::warn!(cause = %failure.error, ?pause, "retrying the request to the language model");
        tokio::time::sleep(pause).await;
        self.longest *= 2;
        Ok(())
    }
}

impl From<LanguageModelError> for Failure {
    fn from(error: LanguageModelError) -> Self {
        Self {
            error,
            again: Again::No,
            said: None,
        }
    }
}

/// The error to report if no form of the request is accepted: the first refusal is about the intended one. A later error
/// that has another cause says more.
pub(super) fn telling(
    first: Option<LanguageModelError>,
    last: LanguageModelError,
) -> LanguageModelError {
    let about_form = last.class().is_some_and(Class::is_about_form);
    first.filter(|_| about_form).unwrap_or(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(class: Class) -> LanguageModelError {
        LanguageModelError::Refused(Refusal {
            class,
            status: Some(400),
            code: None,
            retry_after: None,
        })
    }

    #[test]
    fn a_later_error_with_another_cause_is_reported() {
        let told = |first: Option<Class>, last| telling(first.map(refused), last).class();
        for (first, last, expected) in [
            (None, Class::Other, Class::Other),
            (Some(Class::Parameter), Class::Other, Class::Parameter),
            (Some(Class::Other), Class::Parameter, Class::Other),
            (Some(Class::Parameter), Class::Context, Class::Context),
            (Some(Class::Other), Class::Busy, Class::Busy),
        ] {
            assert_eq!(told(first, refused(last)), Some(expected));
        }
        let silent = LanguageModelError::Silent(Duration::from_secs(1));
        assert_eq!(told(Some(Class::Parameter), silent), None);
    }
}
