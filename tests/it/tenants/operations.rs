//! Many tenants at once through a pooler in transaction mode, against what each should see.
//!
//! `TENANT_OPERATIONS=100000 cargo test --workspace --test it -- tenants::operations` does as many as a release wants.

use std::collections::BTreeMap;

use anyhow::{Context as _, ensure};
use database::{Database, PoolerSetting, Statement};
use document_store::{
    Deletion, DocumentId, Expected, MetadataPatch, PageRequest, Status, Visibility,
};
use filter::Filter;
use futures_util::future::try_join_all;
use serde_json::{Value, json, value::RawValue};
use servers::pooler::{PgBouncer, Settings};

use super::{Deployment, Outcome, database, embedding, tenant};

/// Tenants, and the server connections that they share.
const TENANTS: usize = 50;
const SERVERS: usize = 5;

/// Operations of all tenants together, unless the environment says otherwise.
const OPERATIONS: usize = 1_500;

/// Every tenant has documents of the same ids, words and colours.
const IDS: u64 = 12;
const COLOURS: [&str; 3] = ["blue", "green", "red"];
const WORDS: [&str; 5] = ["jardin", "tomate", "puits", "budget", "plage"];

/// What a tenant has stored.
struct Client<'a> {
    deployment: &'a Deployment,
    database: Database,
    visibility: Visibility,
    /// Text and colour of each document.
    stored: BTreeMap<String, (String, &'static str)>,
    random: u64,
    operations: usize,
}

impl Client<'_> {
    fn draw(&mut self, below: u64) -> u64 {
        // xorshift64
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % below
    }

    fn pick<T: Copy>(&mut self, list: &[T]) -> T {
        let place = self.draw(list.len() as u64);
        list[usize::try_from(place).unwrap_or_default()]
    }

    fn name(&self) -> String {
        self.visibility.tenant()
    }

    async fn run(mut self) -> Outcome {
        for _ in 0..self.operations {
            let id = format!("doc-{}", self.draw(IDS));
            let colour = self.pick(&COLOURS);
            match self.draw(100) {
                0..30 => self.upsert(id, colour).await,
                30..40 => self.delete(&id).await,
                40..52 => self.read(&id).await,
                52..62 => self.list().await,
                62..70 => self.count(colour).await,
                70..84 => self.search().await,
                84..95 => self.sums().await,
                95..98 => self.patch_all(colour).await,
                _ => self.delete_all(colour).await,
            }
            .with_context(|| format!("of the tenant {}", self.name()))?;
        }
        self.database.close().await;
        Ok(())
    }

    async fn upsert(&mut self, id: String, colour: &'static str) -> Outcome {
        let content = format!("{} {} {}", self.name(), self.pick(&WORDS), self.draw(4));
        let document = json!({
            "id": id, "content": content, "metadata": { "owner": self.name(), "colour": colour }
        });
        let stored = self
            .deployment
            .store(&self.database, &self.visibility, document)
            .await?;
        let before = self.stored.insert(id, (content.clone(), colour));
        let expected = match before {
            None => Status::Created,
            Some(before) if before == (content, colour) => Status::Unchanged,
            Some(_) => Status::Updated,
        };
        // What was patched differs from what it was stored as.
        ensure!(
            stored.status == expected || expected == Status::Unchanged,
            "{stored:?}"
        );
        Ok(())
    }

    async fn delete(&mut self, id: &str) -> Outcome {
        let (id, was_there) = (
            DocumentId::parse(id, "id")?,
            self.stored.remove(id).is_some(),
        );
        let deletion =
            document_store::delete(&self.database, &self.visibility, &id, &Expected::Anything)
                .await?;
        ensure!((deletion == Deletion::Deleted) == was_there, "{deletion:?}");
        Ok(())
    }

    async fn read(&self, id: &str) -> Outcome {
        let document = document_store::get(
            &self.database,
            &self.visibility,
            &DocumentId::parse(id, "id")?,
        )
        .await?;
        let text = document.and_then(|document| document.content);
        ensure!(
            text.as_ref() == self.stored.get(id).map(|(text, _)| text),
            "{id}: {text:?}"
        );
        Ok(())
    }

    async fn list(&self) -> Outcome {
        let request = PageRequest {
            limit: Some(100),
            count: Some("exact".to_owned()),
            ..PageRequest::default()
        };
        let page = request
            .parse()?
            .read(&self.database, &self.visibility)
            .await?;
        let listed: Vec<&str> = page
            .documents
            .iter()
            .map(|document| document.id.as_str())
            .collect();
        let mut stored: Vec<&str> = self.stored.keys().map(String::as_str).collect();
        stored.sort_unstable();
        ensure!(listed == stored, "{listed:?} and not {stored:?}");
        ensure!(
            page.total == Some(i64::try_from(stored.len())?),
            "{:?}",
            page.total
        );
        for document in page.documents {
            let metadata: Value = serde_json::from_str(document.metadata.get())?;
            ensure!(metadata["owner"] == self.name(), "{metadata}");
        }
        Ok(())
    }

    async fn count(&self, colour: &str) -> Outcome {
        let counted = document_store::count(&self.database, &self.visibility, &of(colour)?).await?;
        ensure!(counted == self.of_colour(colour)?, "{counted} of {colour}");
        Ok(())
    }

    async fn search(&mut self) -> Outcome {
        let (word, mode) = (
            self.pick(&WORDS),
            self.pick(&["hybrid", "keyword", "semantic"]),
        );
        let hits = self
            .deployment
            .found(&self.database, &self.visibility, word, mode)
            .await?;
        for hit in &hits {
            let id = hit["document_id"].as_str().context("an id")?;
            let (text, _) = self
                .stored
                .get(id)
                .with_context(|| format!("foreign hit {hit}"))?;
            ensure!(
                hit["content"] == **text && hit["metadata"]["owner"] == self.name(),
                "{hit}"
            );
        }
        let with_word = self
            .stored
            .values()
            .filter(|(text, _)| text.contains(word))
            .count();
        let expected = if mode == "keyword" {
            with_word
        } else {
            self.stored.len()
        };
        ensure!(
            hits.len() == expected,
            "{mode} {word}: {} hits, not {expected}",
            hits.len()
        );
        Ok(())
    }

    /// Total and facets of a search.
    async fn sums(&self) -> Outcome {
        let statement = Statement::read(concat!(
            "SELECT s.total, s.facets::text FROM ",
            schema::function!("search"),
            "($1, $2, 'hybrid', $3, '{}', '{}', 5, NULL, NULL, NULL, 0.7, 1.2, 0.75, '{0,1,1}', 0, 1, 0, false, 0,
              'exact', ARRAY['$.\"owner\"[*]']) AS s WHERE s.total IS NOT NULL",
        ))
        .bind(self.name())
        .bind(self.deployment.recipe.clone())
        .bind(embedding("plage"));
        let row: Option<(i64, String)> = self.database.fetch_optional(statement).await?;
        let (total, facets) = row.context("a row of sums")?;
        let documents = self.stored.len();
        let facets: Value = serde_json::from_str(&facets)?;
        let expected = if documents == 0 {
            json!([[]])
        } else {
            json!([[{ "count": documents, "value": self.name() }]])
        };
        ensure!(
            (total, &facets) == (i64::try_from(documents)?, &expected),
            "{total} {facets}"
        );
        Ok(())
    }

    async fn patch_all(&mut self, colour: &str) -> Outcome {
        let text: Box<RawValue> =
            serde_json::from_str(&format!(r#"{{"seen": {}}}"#, self.draw(1 << 30)))?;
        let patch = MetadataPatch::parse(&text)?;
        let changed =
            document_store::patch_matching(&self.database, &self.visibility, &of(colour)?, &patch)
                .await?;
        ensure!(changed.matching == self.of_colour(colour)?, "{changed:?}");
        Ok(())
    }

    async fn delete_all(&mut self, colour: &str) -> Outcome {
        let expected = self.of_colour(colour)?;
        self.stored.retain(|_, (_, other)| *other != colour);
        let deleted = document_store::delete_matching(
            &self.database,
            &self.visibility,
            &of(colour)?,
            "story",
        )
        .await?;
        ensure!(deleted == expected, "{deleted} instead of {expected}");
        Ok(())
    }

    fn of_colour(&self, colour: &str) -> anyhow::Result<i64> {
        let stored = self.stored.values().filter(|(_, other)| *other == colour);
        Ok(i64::try_from(stored.count())?)
    }
}

fn of(colour: &str) -> anyhow::Result<Filter> {
    Ok(Filter::parse(&json!({ "colour": colour }).to_string())?)
}

/// A tenant that changes nothing finds the same with the same scores all the time.
async fn witness(deployment: &Deployment, url: &str, searches: usize) -> Outcome {
    let database = database(url.to_owned(), PoolerSetting::Transaction)?;
    let visibility = tenant("witness");
    for n in 0..6 {
        let content = format!("jardin tomate puits budget plage {n}");
        let document = json!({ "id": format!("doc-{n}"), "content": content });
        deployment.store(&database, &visibility, document).await?;
    }
    let first = deployment
        .found(&database, &visibility, "jardin et puits", "hybrid")
        .await?;
    ensure!(first.len() == 6, "{first:?}");
    for _ in 0..searches {
        let again = deployment
            .found(&database, &visibility, "jardin et puits", "hybrid")
            .await?;
        ensure!(again == first, "{again:?} instead of {first:?}");
    }
    // No server connection keeps a tenant.
    for _ in 0..4 * SERVERS {
        let setting =
            Statement::read("SELECT coalesce(current_setting('rappel.tenant', true), '')");
        let setting: Option<(String,)> = database.fetch_optional(setting).await?;
        ensure!(setting == Some((String::new(),)), "{setting:?}");
    }
    database.close().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_tenants_at_once_through_a_pooler_see_only_what_is_theirs() -> Outcome {
    let operations = tests::number("TENANT_OPERATIONS", OPERATIONS)?;
    let deployment = Deployment::start("operations").await?;
    let settings = Settings {
        mode: "transaction",
        servers: SERVERS,
        clients: 2 * TENANTS,
        certificate: None,
    };
    let Some(pgbouncer) = PgBouncer::before(&deployment.url()?, &settings).await? else {
        return deployment.end().await;
    };
    let url = pgbouncer.url()?;
    let mut clients = Vec::new();
    for number in 0..TENANTS {
        clients.push(Client {
            deployment: &deployment,
            database: database(url.clone(), PoolerSetting::Transaction)?,
            visibility: tenant(&format!("tenant{number}")),
            stored: BTreeMap::new(),
            random: 0x9e37_79b9_7f4a_7c15 ^ (number as u64 + 1),
            operations: operations / TENANTS,
        });
    }
    let clients = try_join_all(clients.into_iter().map(Client::run));
    let witness = witness(&deployment, &url, operations / TENANTS);
    let (ran, witnessed) = tokio::join!(clients, witness);
    ran?;
    witnessed?;
    // The sums of each tenant are those of its chunks.
    let wrong = "
        SELECT format('%s: %s counted, %s stored', tenant, s.chunks, c.chunks)
        FROM (SELECT tenant, sum(chunks) AS chunks FROM rappel.term_statistics WHERE term = '' GROUP BY tenant) AS s
        FULL JOIN (SELECT tenant, count(*) AS chunks FROM rappel.chunks GROUP BY tenant) AS c USING (tenant)
        WHERE coalesce(s.chunks, 0) <> coalesce(c.chunks, 0)";
    let wrong = deployment.app.sql().await?.texts(wrong, &[]).await?;
    assert!(wrong.is_empty(), "{wrong:?}");
    drop(pgbouncer);
    deployment.end().await
}
