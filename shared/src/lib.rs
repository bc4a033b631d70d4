//! What every function uses: from events to answers ([`http`]), from errors to problem documents ([`problem`]), and
//! what a sandbox keeps between requests ([`State`]).

mod error;
pub mod http;
pub mod problem;
mod state;

pub use error::Error;
pub use state::{DatabaseState, State, can_start};
