//! The database that is searched: documents of the standard input with embeddings made of real ones.

use std::{
    io::{self, BufRead as _, Write as _},
    time::Instant,
};

use anyhow::{Context as _, Result, ensure};
use database::{Database, Statement};
use document_store::{Compared, Passage, Prepared, VisibilityParameters};
use embedder::{Embedder, Kind, Manifest, cosine};
use migrations::{Index, IndexConfig};
use retrieval::SearchConfig;
use serde_json::{Value, json};
use servers::postgres::Postgres;
use tests::{Sql, direct, number};

/// As many passages as the other figures of docs/performance.md are of.
const ROWS: usize = 339_396;
/// Documents with an embedding of their own, unless a setting says otherwise.
const CENTRES: usize = 4_000;
/// Documents stored in one statement.
const BATCH: usize = 1_000;
/// Questions drawn.
const QUESTIONS: usize = 600;
/// Shares of the documents that a filter matches, in thousandths.
pub(crate) const SHARES: [i64; 5] = [1, 10, 100, 500, 900];
/// The name of the database.
pub(crate) const NAME: &str = "filters";

fn note(line: &str) -> Result<()> {
    Ok(writeln!(io::stderr(), "{line}")?)
}

/// A document of the standard input.
struct Line {
    title: String,
    text: String,
    metadata: Value,
}

impl Line {
    fn read(line: &str) -> Result<Self> {
        let mut line: Value = serde_json::from_str(line)?;
        let mut text = |name: &str| match line[name].take() {
            Value::String(text) => text,
            _ => String::new(),
        };
        let (title, content) = (text("title"), text("text"));
        Ok(Self {
            title,
            text: content,
            metadata: line["metadata"].take(),
        })
    }
}

/// Fills the database, and builds its index.
pub(crate) async fn fill(
    postgres: &Postgres,
    manifest: &Manifest,
    embedder: &Embedder,
) -> Result<()> {
    let lines = read_lines()?;
    let database = Database::new(&direct(postgres.url(NAME)))?;
    migrations::migrate(&database, manifest).await?;
    migrations::drop_index(&database).await?;

    let centres = number("FILTERS_EMBEDDED", CENTRES)?;
    ensure!(
        (QUESTIONS..=lines.len()).contains(&centres),
        "of {} documents {QUESTIONS} to all can be embedded, not {centres}",
        lines.len()
    );
    let embeddings = embed_centres(embedder, &lines, centres)?;
    let places = places(&embeddings);
    let sql = Sql::connect(&postgres.url(NAME)).await?;
    sql.run(
        "SET synchronous_commit = off;
         CREATE TABLE public.questions (n integer, text text, embedding real[], place integer)",
    )
    .await?;
    store_questions(&database, embedder, &lines, &places).await?;
    store_documents(&database, manifest, &lines, &embeddings, &places).await?;
    let start = Instant::now();
    let index = migrations::build_index(&database, &IndexConfig::default()).await?;
    ensure!(index == Index::Valid, "cannot build the index: {index:?}");
    note(&format!("index built in {:.0?}", start.elapsed()))?;
    sql.run("VACUUM ANALYZE").await?;
    migrations::measure_recall(&database, SearchConfig::default().recall, false).await?;
    database.close().await;
    Ok(())
}

/// The documents of the standard input, at most as many as are wanted.
fn read_lines() -> Result<Vec<Line>> {
    let rows = number("FILTERS_ROWS", ROWS)?;
    let mut lines = Vec::with_capacity(rows);
    for line in io::stdin().lock().lines() {
        let line = Line::read(&line?)?;
        // A document of signs alone is refused.
        if line.text.contains(char::is_alphanumeric) {
            lines.push(line);
        }
        if lines.len() == rows {
            break;
        }
    }
    Ok(lines)
}

/// The embeddings of the documents that have one of their own.
fn embed_centres(embedder: &Embedder, lines: &[Line], centres: usize) -> Result<Vec<Vec<f32>>> {
    let spread = lines.len() / centres;
    let own: Vec<&Line> = lines.iter().step_by(spread).take(centres).collect();
    let mut embeddings = Vec::with_capacity(centres);
    for batch in own.chunks(100) {
        let texts: Vec<String> = batch
            .iter()
            .map(|line| format!("{}\n{}", line.title, line.text))
            .collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        embeddings.extend(embedder.embed(Kind::Passage, &texts)?);
        note(&format!("{} of {centres} embedded", embeddings.len()))?;
    }
    Ok(embeddings)
}

async fn store_documents(
    database: &Database,
    manifest: &Manifest,
    lines: &[Line],
    embeddings: &[Vec<f32>],
    places: &[usize],
) -> Result<()> {
    let centres = embeddings.len();
    let spread = lines.len() / centres;
    let mut random = fastrand::Rng::with_seed(1);
    for (batch, part) in lines.chunks(BATCH).enumerate() {
        let mut documents = Vec::with_capacity(part.len());
        for (n, line) in (batch * BATCH..).zip(part) {
            let centre = (n / spread).min(centres - 1);
            let embedding = if n % spread == 0 {
                embeddings[centre].clone()
            } else {
                mixed(
                    &embeddings[centre],
                    &embeddings[random.usize(..centres)],
                    &mut random,
                )
            };
            let id = format!("p{n}");
            documents.push(prepared(&id, line, places[centre], embedding, &mut random)?);
        }
        let visibility = VisibilityParameters::default();
        let compared = Compared::with_stored(database, &visibility, documents).await?;
        document_store::load(database, manifest.recipe(), &compared).await?;
        if batch % 20 == 0 {
            note(&format!("{} stored", batch * BATCH))?;
        }
    }
    Ok(())
}

/// The rank of each embedding by its similarity to the first, in thousandths.
fn places(embeddings: &[Vec<f32>]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..embeddings.len()).collect();
    order.sort_by(|a, b| {
        let similarity = |n: &usize| cosine(&embeddings[*n], &embeddings[0]);
        similarity(b).total_cmp(&similarity(a))
    });
    let mut places = vec![0; embeddings.len()];
    for (rank, centre) in order.into_iter().enumerate() {
        places[centre] = rank * 1_000 / embeddings.len();
    }
    places
}

fn mixed(own: &[f32], other: &[f32], random: &mut fastrand::Rng) -> Vec<f32> {
    // A sum of two uniform ones has a variance of 1/6.
    let scale = 0.1 * (6.0 / own.len() as f32).sqrt();
    let mixed: Vec<f32> = own
        .iter()
        .zip(other)
        .map(|(own, other)| own + 0.5 * other + scale * (random.f32() + random.f32() - 1.0))
        .collect();
    let length = mixed.iter().map(|value| value * value).sum::<f32>().sqrt();
    mixed.into_iter().map(|value| value / length).collect()
}

fn prepared(
    id: &str,
    line: &Line,
    place: usize,
    embedding: Vec<f32>,
    random: &mut fastrand::Rng,
) -> Result<Prepared> {
    let n = random.i64(0..1_000);
    let place = i64::try_from(place)?;
    let mut metadata = line.metadata.clone();
    let members = metadata.as_object_mut().context("metadata is an object")?;
    members.insert("n".to_owned(), n.into());
    members.insert("place".to_owned(), place.into());
    let (mut tags, mut zones) = (Vec::new(), Vec::new());
    for share in SHARES {
        if n < share {
            members.insert(format!("r{share}"), true.into());
            tags.push(format!("t{share}{}", n % 2));
        }
        if place < share {
            members.insert(format!("p{share}"), true.into());
            zones.push(format!("z{share}{}", place % 2));
        }
    }
    members.insert("tags".to_owned(), tags.into());
    members.insert("zones".to_owned(), zones.into());
    let line = json!({ "id": id, "title": line.title, "content": line.text, "metadata": metadata });
    let mut document = Prepared::read(line.to_string().as_bytes()).map_err(anyhow::Error::msg)?;
    let content = document.content().to_owned();
    document.set_passages([Passage {
        start: 0,
        heading: String::new(),
        content,
    }]);
    document.set_embeddings(&mut std::iter::once(embedding));
    Ok(document)
}

async fn store_questions(
    database: &Database,
    embedder: &Embedder,
    lines: &[Line],
    places: &[usize],
) -> Result<()> {
    let centres = places.len();
    let spread = lines.len() / centres;
    for question in 0..QUESTIONS {
        let n = question * (centres / QUESTIONS) * spread + spread / 2;
        let words: Vec<&str> = lines[n].text.split_whitespace().collect();
        let start = words.len().saturating_sub(9) / 2;
        let text = words[start..words.len().min(start + 9)].join(" ");
        let embedding = embedder.embed_one(Kind::Query, &text)?;
        let statement =
            Statement::write("INSERT INTO public.questions VALUES ($1, $2, $3, $4) RETURNING n")
                .bind(i32::try_from(question)?)
                .bind(text)
                .bind(embedding)
                .bind(i32::try_from(places[n / spread])?);
        database.fetch_all::<(i32,)>(statement).await?;
    }
    Ok(())
}
