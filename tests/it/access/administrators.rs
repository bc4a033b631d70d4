//! What administrators of keys meet.

use anyhow::Context as _;
use reqwest::Method;
use serde_json::{Value, json};

use super::{app, key, send};
use crate::Outcome;

const KEYS: [(&str, &str); 1] = [("AUTHORIZATION", "keys")];

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_administrator_makes_no_other_key() -> Outcome {
    let app = app(&KEYS).await?;
    let first = key(&app, &["--scope", "admin", "--tenant", "acme"]).await?;
    let admin = json!({ "name": "second", "scopes": ["admin"] });
    let second = send(&app, &first, Method::POST, "/keys", admin.clone()).await?;
    let second = second.success(201)?;
    let text = second["key"].as_str().context("a key")?;
    let path = format!("/keys/{}", second["id"].as_str().context("an id")?);
    // The sandbox that revokes the key has just looked it up.
    let revoked = send(&app, text, Method::DELETE, &path, Value::Null).await?;
    revoked.success(204)?;
    let made = send(&app, text, Method::POST, "/keys", admin).await?;
    made.problem(401, "unauthorized")?;
    assert!(made.text.contains("revoked"), "{}", made.text);
    let listed = send(&app, text, Method::GET, "/keys", Value::Null).await?;
    listed.problem(401, "unauthorized")?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_listed_page_by_page() -> Outcome {
    let app = app(&KEYS).await?;
    let admin = key(&app, &["--scope", "admin", "--tenant", "acme"]).await?;
    for name in ["b", "c"] {
        let new = json!({ "name": name, "scopes": ["search"] });
        let made = send(&app, &admin, Method::POST, "/keys", new).await?;
        made.success(201)?;
    }
    let (mut names, mut path) = (Vec::new(), "/keys?limit=2".to_owned());
    for last in [false, true] {
        let page = send(&app, &admin, Method::GET, &path, Value::Null).await?;
        let page = page.success(200)?;
        let keys = page["keys"].as_array().context("keys")?;
        names.extend(keys.iter().map(|key| key["name"].clone()));
        let cursor = page["next_cursor"].as_str();
        assert_eq!(cursor.is_none(), last, "{page}");
        path = format!("/keys?limit=2&cursor={}", cursor.unwrap_or_default());
    }
    assert_eq!(names, ["c", "b", "story"]);
    let wrong = send(&app, &admin, Method::GET, "/keys?cursor=%27", Value::Null).await?;
    assert_eq!(wrong.refused()?, ["cursor"]);
    Ok(())
}
