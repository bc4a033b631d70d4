//! Logins of a database with fewer rights than its own.

use anyhow::{Context as _, Result};

use crate::Sql;

/// `url` with another login, one of [`served`] or [`served_and_owned`].
///
/// # Errors
/// When the URL has no login.
pub fn login(url: &str, role: &str) -> Result<String> {
    let (_, host) = url.split_once('@').context("the URL has a login")?;
    Ok(format!("postgres://{role}:secret@{host}"))
}

/// Creates logins, and returns the environment of functions that use the first one, and of which migrate uses the login of `url`.
///
/// # Errors
/// When one cannot be created.
pub async fn served(url: &str, roles: &[&str]) -> Result<Vec<(String, String)>> {
    let create: Vec<String> = roles
        .iter()
        .map(|role| format!("CREATE ROLE {role} LOGIN PASSWORD 'secret'"))
        .collect();
    Sql::connect(url).await?.run(&create.join(";")).await?;
    let served = roles.first().context("there is a login")?;
    Ok(vec![
        ("DATABASE_URL".to_owned(), login(url, served)?),
        ("MIGRATION_DATABASE_URL".to_owned(), url.to_owned()),
    ])
}

/// The same, where migrate uses the login `owner`, which is no superuser: it may create schemas in the database, which has
/// the extension.
///
/// # Errors
/// When one cannot be created.
pub async fn served_and_owned(url: &str, name: &str, owner: &str) -> Result<Vec<(String, String)>> {
    let mut environment = served(url, &[name, owner]).await?;
    let sql = Sql::connect(url).await?;
    let database = sql.texts("SELECT current_database()::text", &[]).await?;
    let database = database.concat();
    sql.run(&format!(
        "CREATE EXTENSION vector; GRANT CREATE ON DATABASE {database} TO {owner}"
    ))
    .await?;
    // Of duplicate variables the last one wins.
    environment.push(("MIGRATION_DATABASE_URL".to_owned(), login(url, owner)?));
    Ok(environment)
}
