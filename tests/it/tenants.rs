//! Tenants: what one stores is not there for another, and changes nothing for it.
//!
//! Two logins, as where tenants are kept apart: one owns the tables, and the functions have another one.

mod filters;
mod operations;
mod under_way;
mod wall;

use std::iter;

use anyhow::Context as _;
use database::{AddressFamily, Database, DatabaseConfig, PoolerSetting};
use document_store::{Batch, Outcome as Stored, Passage, Prepared, Tenant, Visibility};
use embedder::Manifest;
use retrieval::{SearchConfig, SearchRequest};
use serde_json::{Value, json};
use tests::{
    App, Assets, Imports, Pace,
    logins::{self, login},
};

use crate::Outcome;

/// Numbers of an embedding.
const DIMENSIONS: u16 = 384;

/// The product with two logins.
struct Deployment {
    app: App,
    /// The login of the functions.
    served: String,
    owner: String,
    recipe: String,
}

impl Deployment {
    /// Migrates an empty database; `name` makes the roles' names unique.
    async fn start(name: &str) -> anyhow::Result<Self> {
        let (served, owner) = roles(name);
        let two_logins = async |url: &str| {
            let environment = logins::served_and_owned(url, &served, &owner).await?;
            Ok(((), environment))
        };
        let (app, ()) = App::through(two_logins).await?;
        app.invoke("migrate", json!({})).await?;
        Self::of(app, served, owner).await
    }

    /// The same with a queue and a bucket.
    async fn importing(name: &str) -> anyhow::Result<(Self, Imports)> {
        let (served, owner) = roles(name);
        let two_logins = async |url: &str| {
            let environment = logins::served_and_owned(url, &served, &owner).await?;
            Ok(((), environment))
        };
        let (app, imports, ()) = App::with_imports_through(Pace::default(), two_logins).await?;
        Ok((Self::of(app, served, owner).await?, imports))
    }

    async fn of(app: App, served: String, owner: String) -> anyhow::Result<Self> {
        let recipe = Manifest::read(&Assets::prepared().await?.model)?;
        Ok(Self {
            app,
            served,
            owner,
            recipe: recipe.recipe().to_owned(),
        })
    }

    /// The database's URL with the functions' login.
    fn url(&self) -> anyhow::Result<String> {
        login(self.app.database_url(), &self.served)
    }

    /// Stores a document without a model.
    async fn store(
        &self,
        database: &Database,
        visibility: &Visibility,
        document: Value,
    ) -> anyhow::Result<Stored> {
        let input = vec![serde_json::from_value(document)?];
        let batch = Batch::parse(input).map_err(|errors| anyhow::anyhow!("{errors:?}"))?;
        let recipe = &self.recipe;
        let stored = document_store::upsert(database, visibility, recipe, batch, embed).await?;
        stored.into_iter().next().context("an outcome")
    }

    /// What a tenant finds, with every measure.
    async fn found(
        &self,
        database: &Database,
        visibility: &Visibility,
        question: &str,
        mode: &str,
    ) -> anyhow::Result<Vec<Value>> {
        let request = SearchRequest {
            query: question.to_owned(),
            mode: Some(mode.to_owned()),
            limit: Some(50),
            explain: Some(true),
            ..SearchRequest::default()
        };
        let search = request.parse()?;
        let manifest = Manifest::read(&Assets::prepared().await?.model)?;
        let config = SearchConfig::default();
        let hits = search
            .find(
                database,
                visibility,
                &manifest,
                embedding(question),
                &config,
            )
            .await?;
        Ok(hits.iter().map(|hit| json!(hit)).collect())
    }

    async fn end(self) -> Outcome {
        let Self { served, owner, .. } = &self;
        let end = format!(
            "DROP OWNED BY {served}; DROP ROLE {served}; DROP OWNED BY {owner} CASCADE; DROP ROLE {owner}"
        );
        self.app.sql().await?.run(&end).await
    }
}

/// The functions' login and the owner of the tables.
fn roles(name: &str) -> (String, String) {
    let role = |kind: &str| format!("{name}_{kind}_{}", std::process::id());
    (role("served"), role("owner"))
}

fn tenant(name: &str) -> Visibility {
    Visibility::of(Tenant::parse(name, "tenant").expect(name))
}

fn database(url: String, pooler: PoolerSetting) -> anyhow::Result<Database> {
    let patience = std::time::Duration::from_mins(1);
    Ok(Database::new(&DatabaseConfig {
        url,
        credentials: None,
        pooler,
        address_family: AddressFamily::Auto,
        application_name: "rappel-tenants".to_owned(),
        connections: 1,
        acquire_timeout: patience,
        wake_timeout: std::time::Duration::ZERO,
        statement_timeout: patience,
        settings: &[],
    })?)
}

/// Any embedding, the same for the same text.
fn embedding(text: &str) -> Vec<f32> {
    let seed: u32 = text.bytes().fold(7, |sum, byte| {
        sum.wrapping_mul(31).wrapping_add(byte.into())
    });
    let place = f32::from(u16::try_from(seed % 10_007).unwrap_or_default());
    (0..DIMENSIONS)
        .map(|n| (place + f32::from(n) * (1.0 + place / 5_000.0)).sin() / 14.0)
        .collect()
}

async fn embed(mut documents: Vec<Prepared>) -> anyhow::Result<Vec<Prepared>> {
    for document in &mut documents {
        let content = document.content().to_owned();
        let vector = embedding(&content);
        document.set_passages([Passage {
            start: 0,
            heading: String::new(),
            content,
        }]);
        document.set_embeddings(&mut iter::once(vector));
    }
    Ok(documents)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_documents_of_one_tenant_change_no_score_of_another() -> Outcome {
    let deployment = Deployment::start("scores").await?;
    let database = database(deployment.url()?, PoolerSetting::Auto)?;
    let (one, other) = (tenant("one"), tenant("other"));
    for n in 0..8 {
        let content = format!("Le jardin numéro {n} a des tomates et un puits.");
        let document = json!({ "id": format!("jardin-{n}"), "content": content });
        deployment.store(&database, &one, document).await?;
    }
    let mut before = Vec::new();
    let questions = [
        ("un puits au jardin", "hybrid"),
        ("tomates", "keyword"),
        ("numéro 3", "semantic"),
    ];
    for (question, mode) in questions {
        let found = deployment.found(&database, &one, question, mode).await?;
        assert!(!found.is_empty(), "{question}");
        before.push(found);
    }
    // The same ids, the same words, and more of them.
    for n in 0..20 {
        let content = format!("Tomates, tomates, un puits et le jardin numéro {n}.");
        let document = json!({ "id": format!("jardin-{n}"), "content": content });
        deployment.store(&database, &other, document).await?;
    }
    for ((question, mode), before) in questions.into_iter().zip(before) {
        let after = deployment.found(&database, &one, question, mode).await?;
        assert_eq!(before, after, "{question}");
        let nobody = deployment
            .found(&database, &tenant("nobody"), question, mode)
            .await?;
        assert!(nobody.is_empty(), "{nobody:?}");
    }
    database.close().await;
    deployment.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn two_tenants_have_documents_of_one_id_and_neither_touches_the_others() -> Outcome {
    let deployment = Deployment::start("ids").await?;
    let database = database(deployment.url()?, PoolerSetting::Auto)?;
    let id = document_store::DocumentId::parse("plan", "id")?;
    let tenants = ["", "acme", "zeta"].map(tenant);
    for visibility in &tenants {
        let content = format!("Le plan de {}.", visibility.tenant);
        let document = json!({ "id": "plan", "content": content, "metadata": { "of": visibility.tenant.as_str() } });
        let stored = deployment.store(&database, visibility, document).await?;
        assert_eq!(
            stored.status,
            document_store::Status::Created,
            "{visibility:?}"
        );
    }
    let keys = document_store::metadata_keys(&database, &tenants[1]).await?;
    assert_eq!(json!(keys[0].examples.0), json!(["acme"]));
    let deleted = document_store::delete(
        &database,
        &tenants[0],
        &id,
        &document_store::Expected::Anything,
    );
    assert_eq!(deleted.await?, document_store::Deletion::Deleted);
    for (visibility, left) in tenants.iter().zip([false, true, true]) {
        let read = document_store::get(&database, visibility, &id).await?;
        let text = read.and_then(|document| document.content);
        let expected = left.then(|| format!("Le plan de {}.", visibility.tenant));
        assert_eq!(text, expected);
    }
    let all = filter::Filter::parse(r#"{"of": {"$exists": true}}"#)?;
    assert_eq!(
        document_store::delete_matching(&database, &tenants[1], &all, "story").await?,
        1
    );
    assert_eq!(
        document_store::count(&database, &tenants[2], &all).await?,
        1
    );
    database.close().await;
    deployment.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_that_is_removed_leaves_nothing_and_the_others_alone() -> Outcome {
    let deployment = Deployment::start("removal").await?;
    let database = database(deployment.url()?, PoolerSetting::Auto)?;
    let (gone, stays) = (tenant("gone"), tenant("stays"));
    for visibility in [&gone, &stays] {
        for n in 0..7 {
            let document = json!({ "id": format!("d{n}"), "content": format!("Un jardin, {n}.") });
            deployment.store(&database, visibility, document).await?;
        }
    }
    let sql = deployment.app.sql().await?;
    sql.run(
        "INSERT INTO rappel.imports (id, source, etag, bytes, queue, tenant) VALUES
             ('a', 's', 'e', 1, 'q', 'gone'), ('b', 's', 'e', 1, 'q', 'stays')",
    )
    .await?;
    let state = async |visibility: &Visibility| {
        let state = document_store::tenant_state(&database, &visibility.tenant).await?;
        state.context("a row")
    };
    let before = state(&stays).await?;
    assert_eq!((before.documents, before.chunks), (7, 7));
    assert!(before.bytes > 7 * 768, "{before:?}");

    let begun = std::time::Instant::now();
    let remove = async || {
        document_store::begin_removal(&database, &gone.tenant, "story").await?;
        document_store::continue_removal(&database, &gone.tenant, begun).await
    };
    assert!(remove().await?);
    let after = state(&gone).await?;
    assert_eq!((after.documents, after.chunks, after.bytes), (0, 0, 0));
    assert_eq!(
        (after.removal.documents, after.removal.chunks),
        (Some(7), Some(7))
    );
    assert!(after.removal.finished_at.is_some(), "{after:?}");
    assert_eq!(state(&stays).await?, before);
    // It is proven by looking: of no table is a row of the tenant left but those that record its removal.
    let tables = "SELECT format('rappel.%I', c.relname) FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid
        WHERE a.attname = 'tenant' AND c.relkind = 'r' AND c.relnamespace = 'rappel'::regnamespace";
    let mut looked = 0;
    for table in sql.texts(tables, &[]).await? {
        let rows = format!("SELECT count(*) FROM {table} WHERE tenant = 'gone'");
        let record = ["rappel.tenant_removals", "rappel.audit"].contains(&table.as_str());
        let expected = i64::from(record);
        assert_eq!(sql.number(&rows, &[]).await?, expected, "{table}");
        looked += 1;
    }
    assert!(looked >= 8, "{looked} tables");
    // A key that is revoked may be known to a sandbox for a minute: until then nothing is stored.
    let again = json!({ "id": "d1", "content": "Encore un jardin." });
    let refused = deployment.store(&database, &gone, again).await;
    let refused = refused.expect_err("the tenant is being removed");
    assert_eq!(refused.to_string(), "the tenant is being removed");
    sql.run("UPDATE rappel.tenant_removals SET requested_at = now() - interval '1 hour'")
        .await?;
    // A removal that is over begins anew.
    deployment
        .store(
            &database,
            &gone,
            json!({ "id": "d1", "content": "Encore un jardin." }),
        )
        .await?;
    assert_eq!(state(&gone).await?.documents, 1);
    // A message of the first removal that arrives twice removes nothing.
    assert!(document_store::continue_removal(&database, &gone.tenant, begun).await?);
    assert_eq!(state(&gone).await?.documents, 1);
    assert!(remove().await?);
    assert_eq!(state(&gone).await?.removal.documents, Some(1));
    database.close().await;
    deployment.end().await
}
