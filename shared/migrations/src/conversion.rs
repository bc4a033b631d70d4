//! A database of an older recipe becomes one of this build's, where that can be computed from what it holds.
//!
//! Embeddings are centred where they lie: that takes each by itself from what the model gave to what it would be now, but
//! for the rounding of halfvec. Words are analysed again from the stored passages.

use database::{Database, DatabaseError, Statement, Transaction};
use embedder::{Centring, Kind, Manifest, Recipe};

use super::index::drop_index;

/// What follows the name of the old recipe while a database is converted, so that no build takes it for its own.
const CONVERTING: &str = " (being converted)";

/// Between databases that are converted at a time, one after the other: "recipe" in ASCII.
const LOCK: i64 = 0x7265_6369_7065;

/// What has to be done to get from one recipe to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Plan {
    centre: bool,
    analyse: bool,
}

/// Converts a database that an older recipe made; none, or this build's, is left as it is. Answers the name of the
/// recipe that it had.
///
/// Until it is done, searches and writes are refused, and nothing of it is visible. A conversion that was interrupted is
/// begun again by the next call.
///
/// # Errors
/// [`DatabaseError::ModelMismatch`] when this build's recipe cannot be computed from what is stored, or whatever the
/// database says.
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
    if !announce(database, &old).await? {
        return Ok(None);
    }
    if plan.centre {
        // Each new version of a row would be added to the graph; to build it anew takes a thirtieth of that.
        drop_index(database).await?;
    }
    let mut transaction = locked(database).await?;
    // Whoever was faster has done all of it.
    if name(&mut transaction).await?.ends_with(CONVERTING) {
        if plan.analyse {
            document_store::analyse_again(&mut transaction).await?;
        }
        if let Some(centring) = manifest.centring().filter(|_| plan.centre) {
            transaction.run_script(&centre(centring)).await?;
        }
        rename(&mut transaction, manifest.recipe()).await?;
    }
    transaction.commit().await?;
    Ok(Some(old))
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
                    "its embeddings cannot be computed from those of other means: import the documents into a new \
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

/// The recipe that the database has, if it is another one than this build's.
async fn stored(database: &Database, manifest: &Manifest) -> Result<Option<String>, DatabaseError> {
    let statement = Statement::read("SELECT name FROM rappel.model");
    let stored: Option<(String,)> = database.fetch_optional(statement).await?;
    Ok(stored
        .map(|(name,)| name)
        .filter(|name| name != manifest.recipe())
        .map(|name| name.trim_end_matches(CONVERTING).to_owned()))
}

/// Keeps all others out. The lock waits for those that have read the old name, whatever build they are of, so nobody
/// who took the database for his own is still at work afterwards. Answers whether there is anything left to do.
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

/// A transaction that no other conversion of this database runs beside.
async fn locked(database: &Database) -> Result<Transaction, DatabaseError> {
    let mut transaction = database.begin().await?;
    // Who waits for a table keeps all that come later waiting too, so a transaction that somebody left open must not be
    // waited for.
    let script = format!(
        "SET LOCAL statement_timeout = 0; SELECT pg_advisory_xact_lock({LOCK}); SET LOCAL lock_timeout = '5s'"
    );
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

/// The statement that does to every stored passage what [`Centring::apply`] does to a new one.
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
