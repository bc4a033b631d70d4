//! Random changes of rows, and the time until each shows in its document.

use std::{
    collections::HashMap,
    sync::mpsc::{Receiver, TryRecvError, channel},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use tests::Sql;
use tokio::time::{interval, sleep};

/// Pause between two looks at the documents: the precision of a lag.
const LOOK: Duration = Duration::from_millis(50);
/// Longer than any lag.
const PATIENCE: Duration = Duration::from_mins(5);

/// A committed change of a row.
struct Change {
    id: i64,
    /// `None` if the row was deleted.
    revision: Option<i64>,
    time: Instant,
}

/// Plays `count` changes, `rate` a second, and answers how long their documents took. A change that another of the same row
/// overtakes is not counted.
pub(crate) async fn play(url: &str, count: u32, rate: u32) -> Result<String> {
    let (made, seen) = channel();
    let watcher = tokio::spawn(watch(Sql::connect(url).await?, seen));
    let sql = Sql::connect(url).await?;
    let mut random = fastrand::Rng::with_seed(1);
    let mut turn = interval(Duration::from_secs(1) / rate);
    for number in 1..=count {
        turn.tick().await;
        let change = change(&sql, &mut random, number.into()).await?;
        made.send(change).ok().context("the watcher has ended")?;
    }
    drop(made);
    let mut lags = watcher.await??;
    lags.sort_unstable();
    let at = |thousandths: usize| lags[(lags.len() - 1) * thousandths / 1000];
    Ok(format!(
        "lag p50 {:.2?}, p99 {:.2?}, most {:.2?}",
        at(500),
        at(990),
        at(1000)
    ))
}

/// Changes a random row.
async fn change(sql: &Sql, random: &mut fastrand::Rng, number: i64) -> Result<Change> {
    let rows = sql
        .number("SELECT max(id) FROM public.paragraphs", &[])
        .await?;
    let kind = random.u32(..10);
    loop {
        let (id, other) = (random.i64(1..=rows), random.i64(1..=rows));
        let statement = match kind {
            0..6 => format!(
                "UPDATE public.paragraphs AS changed SET body = other.body, revision = {number}
                 FROM (SELECT body FROM public.paragraphs WHERE id = {other}) AS other
                 WHERE id = {id}"
            ),
            6..8 => format!("UPDATE public.paragraphs SET revision = {number} WHERE id = {id}"),
            8 => format!(
                "INSERT INTO public.paragraphs (title, body, metadata, revision)
                 SELECT title, body, metadata, {number} FROM public.paragraphs WHERE id = {id}"
            ),
            _ => format!("DELETE FROM public.paragraphs WHERE id = {id}"),
        };
        let changed = format!("{statement} RETURNING id::text");
        if let [id] = &sql.texts(&changed, &[]).await?[..] {
            return Ok(Change {
                id: id.parse()?,
                revision: (kind < 9).then_some(number),
                time: Instant::now(),
            });
        }
    }
}

/// Looks until each change that was made shows, and answers how long each took.
async fn watch(sql: Sql, made: Receiver<Change>) -> Result<Vec<Duration>> {
    let (mut lags, mut open) = (Vec::new(), HashMap::new());
    loop {
        let ended = loop {
            match made.try_recv() {
                Ok(change) => open.insert(change.id, change),
                Err(TryRecvError::Empty) => break false,
                Err(TryRecvError::Disconnected) => break true,
            };
        };
        if ended && open.is_empty() {
            return Ok(lags);
        }
        let ids: Vec<String> = open.keys().map(|id| format!("paragraphs/{id}")).collect();
        let found = sql
            .texts(
                "SELECT substr(id, 12) || ' ' || (metadata->>'revision') FROM rappel.documents WHERE id = ANY ($1)",
                &[&ids],
            )
            .await?;
        let now = Instant::now();
        let revisions: HashMap<i64, i64> = found
            .iter()
            .filter_map(|row| row.split_once(' '))
            .map(|(id, revision)| Ok((id.parse()?, revision.parse()?)))
            .collect::<Result<_>>()?;
        open.retain(|id, change| {
            let shows = change.revision == revisions.get(id).copied();
            if shows {
                lags.push(now - change.time);
            }
            !shows
        });
        let late = open.values().find(|change| now - change.time > PATIENCE);
        ensure!(late.is_none(), "no change shows for {PATIENCE:?}");
        sleep(LOOK).await;
    }
}
