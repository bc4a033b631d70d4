//! Detects passwords in a URL that are not percent-encoded.

/// The fix, for the error message.
pub(super) const REMEDY: &str = "percent-encode reserved characters in the user and the password: / as %2F, ? as \
     %3F, # as %23, @ as %40, : as %3A, % as %25";

/// Whether a URL's user or password holds a raw `/`, `?` or `#`: the authority ends there, and the `@` that belongs
/// before the host follows it. A parser would take part of the password for the host, or the user for one.
pub(super) fn is_cut(url: &str) -> bool {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let Some(end) = rest.find(['/', '?', '#']) else {
        return false;
    };
    let rest = &rest[end..];
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    // A query value may hold an `@`: `?user=a@b`. The query of a cut password does not start with a name.
    let before = query.split_once('@').map(|(before, _)| before);
    path.contains('@') || before.is_some_and(|before| !before.contains('='))
}

#[cfg(test)]
mod tests {
    use super::is_cut;

    #[test]
    fn an_unencoded_password_is_detected() {
        for url in [
            "postgres://app:p@ss#w/rd@host/x",
            "postgres://app:p/w@host/x",
            "postgres://app:p#w@host:5432/x?sslmode=require",
            "postgres://app:p?w@host/x",
            "postgresql://a/b:pw@host/x",
            "postgres://app:a@b?c@host/x",
        ] {
            assert!(is_cut(url), "{url}");
        }
        for url in [
            "postgres://app:pw@host/x",
            "postgres://app:p%23%2F%40@host:5432/x?sslmode=require",
            "postgres://app:p@ss@host/x",
            "postgres:///x?host=/tmp&user=a@b",
            "postgres://host/x?user=app@tenant&password=a@b",
            "postgres://app:pw@host?application_name=a@b",
            "postgres://host",
            "host=localhost user=app",
            "",
        ] {
            assert!(!is_cut(url), "{url}");
        }
    }
}
