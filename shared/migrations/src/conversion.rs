//! Converts a database of an older recipe to this build's, if its stored data allows it.
//!
//! Embeddings are centred in place, each independently: the result equals new embeddings up to the rounding of halfvec.
//! Words are analysed again from the stored passages.

use database::{Database, DatabaseError, Statement, Transaction};
use embedder::{Centring, Kind, Manifest, Recipe};

use super::index::drop_index;

/// The suffix of the old recipe's name during a conversion, so that no build accepts the database.
const CONVERTING: &str = " (being converted)";

/// The lock that serializes conversions of a database: "recipe" in ASCII.
const LOCK: i64 = 0x7265_6369_7065;

/// The steps from one recipe to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Plan {
    centre: bool,
    analyse: bool,
}

/// Converts a database of an older recipe; one without, or with this build's, stays unchanged. Returns the name of the
/// old recipe.
///
/// Until it is done, searches and writes are refused, and no change is visible. One that fails is withdrawn; the next call
/// restarts one that was killed.
///
/// # Errors
/// [`DatabaseError::ModelMismatch`] if this build's recipe cannot be computed from the stored data, or any error of the
/// database.
pub(super) async fn convert(
    database: &Database,
    manifest: &Manifest,
) -> Result<Option<String>, DatabaseError> {
    let Some(old) = stored(database, manifest).await? else {
        return Ok(None);
    };
    let plan = Plan::between(&old, manifest)?;
    tracing::info!(
        from = old,
        to = manifest.recipe(),
        "the database is being converted; searches and writes wait"
    );
    loop {
        if !announce(database, &old).await? {
            return Ok(None);
        }
        match work(database, manifest, &old, plan).await {
            Ok(true) => return Ok(Some(old)),
            // Another process failed and withdrew what both had announced.
            Ok(false) => {}
            Err(error) => {
                if let Err(cause) = withdraw_conversion(database).await {
                    tracing::error!(
                        %cause,
                        "the conversion is not withdrawn: searches and writes are refused until a migration succeeds"
                    );
                }
                return Err(error);
            }
        }
    }
}

/// Gives the database back to the build of its old recipe, if a conversion was interrupted: none of its changes is
/// visible, but the name that refuses everybody is. The index may be missing. Returns whether there was one.
///
/// # Errors
/// Any error of the database, [`DatabaseError::Overloaded`] if another process converts it now.
pub async fn withdraw_conversion(database: &Database) -> Result<bool, DatabaseError> {
    let mut transaction = database.begin().await?;
    // The server notices within two seconds that an interrupted conversion has nobody to commit it.
    let script = format!("SET LOCAL lock_timeout = '8s'; SELECT pg_advisory_xact_lock({LOCK})");
    transaction.run_script(&script).await?;
    let stored = name(&mut transaction).await?;
    let old = stored.strip_suffix(CONVERTING);
    if let Some(old) = old {
        rename(&mut transaction, old).await?;
        tracing::info!(recipe = old, "the conversion is withdrawn");
    }
    transaction.commit().await?;
    Ok(old.is_some())
}

/// Converts a database that was announced. Returns `false` if the announcement was withdrawn.
async fn work(
    database: &Database,
    manifest: &Manifest,
    old: &str,
    plan: Plan,
) -> Result<bool, DatabaseError> {
    if plan.centre {
        // Each new row version would be added to the graph; a rebuild takes a thirtieth of that.
        drop_index(database).await?;
    }
    let mut transaction = locked(database).await?;
    let name = name(&mut transaction).await?;
    // Unless another process has done it all.
    if name.ends_with(CONVERTING) {
        if plan.analyse {
            document_store::analyse_again(&mut transaction).await?;
        }
        if let Some(centring) = manifest.centring().filter(|_| plan.centre) {
            transaction.run_script(&centre(centring)).await?;
        }
        rename(&mut transaction, manifest.recipe()).await?;
    }
    transaction.commit().await?;
    Ok(name != old)
}

impl Plan {
    fn between(old: &str, manifest: &Manifest) -> Result<Self, DatabaseError> {
        let (from, to) = (Recipe::of_name(old), Recipe::of_name(manifest.recipe()));
        let refused = |reason: &str| {
            Err(DatabaseError::ModelMismatch(format!(
                "the database was made with the recipe {old}, but this one is {to}: {reason}"
            )))
        };
        if from.model != to.model {
            return refused("set MODEL_DIR to the first one's model, or use another database");
        }
        if from.analysis > to.analysis {
            return refused("a newer version of Rappel has migrated it; use that one");
        }
        let centre = match (&from.centring, &to.centring) {
            (from, to) if from == to => false,
            (None, Some(_)) => true,
            _ => {
                return refused(
                    "its embeddings cannot be computed from ones with other means: import the documents into a new \
                     database",
                );
            }
        };
        Ok(Self {
            centre,
            analyse: from.analysis < to.analysis,
        })
    }
}

/// The database's recipe, if it differs from this build's.
async fn stored(database: &Database, manifest: &Manifest) -> Result<Option<String>, DatabaseError> {
    let statement = Statement::read("SELECT name FROM rappel.model");
    let stored: Option<(String,)> = database.fetch_optional(statement).await?;
    Ok(stored
        .map(|(name,)| name)
        .filter(|name| name != manifest.recipe())
        .map(|name| name.trim_end_matches(CONVERTING).to_owned()))
}

/// Locks out all others. The lock waits for those of any build that have read the old name, so that nobody still works
/// with it afterwards. Returns whether any work is left.
async fn announce(database: &Database, old: &str) -> Result<bool, DatabaseError> {
    let mut transaction = locked(database).await?;
    transaction
        .run_script("LOCK TABLE rappel.model IN ACCESS EXCLUSIVE MODE")
        .await?;
    let name = name(&mut transaction).await?;
    if name == old {
        rename(&mut transaction, &format!("{old}{CONVERTING}")).await?;
    }
    transaction.commit().await?;
    Ok(name.trim_end_matches(CONVERTING) == old)
}

/// A transaction that excludes other conversions of this database.
async fn locked(database: &Database) -> Result<Transaction, DatabaseError> {
    let mut transaction = database.begin().await?;
    transaction.lift_limits().await?;
    // Waiting for a table also blocks all later requests, so this must not wait long for a transaction left open.
    let script = format!("SELECT pg_advisory_xact_lock({LOCK}); SET LOCAL lock_timeout = '5s'");
    transaction.run_script(&script).await?;
    Ok(transaction)
}

async fn name(transaction: &mut Transaction) -> Result<String, DatabaseError> {
    let statement = Statement::read("SELECT name FROM rappel.model");
    let rows: Vec<(String,)> = transaction.fetch_all(statement).await?;
    Ok(rows.into_iter().next().map(|row| row.0).unwrap_or_default())
}

async fn rename(transaction: &mut Transaction, name: &str) -> Result<(), DatabaseError> {
    let statement =
        Statement::write("UPDATE rappel.model SET name = $1 RETURNING name").bind(name.to_owned());
    transaction
        .fetch_all::<(String,)>(statement)
        .await
        .map(drop)
}

/// The statement that applies [`Centring::apply`] to every stored passage.
fn centre(centring: &Centring) -> String {
    let mean = centring.mean(Kind::Passage).iter();
    let shift = array(mean.map(|x| x * centring.strength()));
    let directions = array(centring.directions().iter().flatten().copied());
    format!(
        concat!("SELECT ", schema::function!("centre"), "({}, {})"),
        shift, directions
    )
}

fn array(numbers: impl Iterator<Item = f32>) -> String {
    let numbers: Vec<String> = numbers.map(|x| x.to_string()).collect();
    format!("'{{{}}}'::real[]", numbers.join(","))
}
