//! Common code of all functions: HTTP ([`http`]), problem documents of errors ([`problem`]), and the state that a
//! sandbox keeps between requests ([`State`]).

mod error;
pub mod http;
pub mod problem;
mod state;
mod time_left;

pub use error::Error;
pub use state::{DatabaseState, State, can_start};
pub use time_left::time_left;
