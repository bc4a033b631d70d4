//! A limit of requests.

/// A limit of requests, and what is left of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Whose limit: `key` or `tenant`.
    pub name: &'static str,
    /// Requests per [`Quota::WINDOW`].
    pub limit: i64,
    /// Requests that are left in this window.
    pub remaining: i64,
    /// Seconds until the next window.
    pub reset: u32,
}

impl Quota {
    /// The window of the limits in seconds.
    pub const WINDOW: u32 = 60;
}
