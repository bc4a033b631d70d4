//! Everything the functions share.
