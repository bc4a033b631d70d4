//! What is often wrong with a URL: a parser takes it for something else, and the error then names another cause.

/// The fix of a password with reserved characters.
pub(super) const ENCODING: &str = "percent-encode reserved characters in the user and the password: / as %2F, ? as \
     %3F, # as %23, @ as %40, : as %3A, % as %25";

/// What is wrong with a URL, and the fix. Says nothing of the URL, which holds a password.
pub(super) fn of(url: &str) -> Option<&'static str> {
    let begins = |words: &[&str]| words.iter().any(|word| url.starts_with(word));
    if begins(&["\"", "'", "`"]) {
        return Some("it begins with a quotation mark: leave the marks out");
    }
    if begins(&["psql ", "export ", "DATABASE_URL="]) {
        return Some(
            "it is a line for a shell: keep only the URL, from postgres:// on, without quotation marks",
        );
    }
    if !begins(&["postgres", "Postgres", "POSTGRES"]) {
        return Some("it must begin with postgres:// or postgresql://");
    }
    // In the URLs that Supabase and others show.
    let placeholders = [
        "[YOUR-PASSWORD]",
        "[password]",
        "<password>",
        "%5BYOUR-PASSWORD%5D",
    ];
    if placeholders
        .iter()
        .any(|placeholder| url.contains(placeholder))
    {
        return Some("it still has a placeholder where the password belongs");
    }
    is_cut(url).then_some(ENCODING)
}

/// Whether a URL's user or password holds a raw `/`, `?` or `#`: the authority ends there, and the `@` that belongs
/// before the host follows it. A parser would take part of the password for the host, or the user for one.
fn is_cut(url: &str) -> bool {
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
    use super::{ENCODING, is_cut, of};

    #[test]
    fn what_is_pasted_with_the_url_is_named() {
        for (url, says) in [
            ("\"postgres://app:pw@host/x\"", "quotation mark"),
            ("psql 'postgresql://app:pw@host/x'", "only the URL"),
            ("DATABASE_URL=postgres://app:pw@host/x", "only the URL"),
            ("jdbc:postgresql://host/x", "must begin with"),
            ("https://abc.supabase.co", "must begin with"),
            ("host=localhost user=app", "must begin with"),
            (
                "postgresql://postgres.abc:[YOUR-PASSWORD]@aws-0-eu-west-3.pooler.supabase.com:6543/postgres",
                "placeholder",
            ),
            ("postgres://app:p/w@host/x", ENCODING),
        ] {
            let said = of(url);
            assert!(
                said.is_some_and(|said| said.contains(says)),
                "{url}: {said:?}"
            );
        }
        for url in [
            "postgres://app:pw@host/x",
            "postgresql://host/x?user=app",
            "postgresql+asyncpg://app:pw@host/x",
            "postgres:///x?host=/tmp",
        ] {
            assert_eq!(of(url), None, "{url}");
        }
    }

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
