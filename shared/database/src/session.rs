//! Settings on which statements depend, whatever the role or the database has chosen.

/// The isolation level of every transaction: stricter ones fail where two workers meet.
pub(super) const ISOLATION: &str = "read committed";

/// The settings of every session, or where a pooler is in between, of every transaction. The values need no quotes within
/// quotes.
pub(super) const SETTINGS: [(&str, &str); 7] = [
    // Compiling a plan takes longer than running it.
    ("jit", "off"),
    ("array_nulls", "on"),
    // Weights are part of dynamic statements: digits that are left out change scores.
    ("extra_float_digits", "1"),
    ("gin_fuzzy_search_limit", "0"),
    // Policies apply; `off` turns them into errors.
    ("row_security", "on"),
    ("standard_conforming_strings", "on"),
    ("transform_null_equals", "off"),
];
