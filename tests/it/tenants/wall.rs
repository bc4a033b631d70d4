//! The second wall: the functions' login itself, past every function, sees and changes no row of another tenant.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context as _;
use database::PoolerSetting;
use serde_json::json;
use tests::Sql;

use super::{Deployment, Outcome, database, tenant};

/// Tables that belong to no tenant but to the administrators.
const SHARED: [&str; 7] = [
    "audit",
    "functions",
    "keys",
    "migrations",
    "model",
    "tenant_limits",
    "usage",
];

/// Functions that read and write no table of tenants, or, those of the triggers, return nothing and only make what a source
/// needs.
const PURE: [&str; 25] = [
    "bm25_expression",
    "chosen",
    "count_hits",
    "hit_metadata",
    "drop_source_function",
    "drop_source_triggers",
    "field_index",
    "fusion",
    "key_of_row",
    "key_values",
    "make_source_function",
    "matches",
    "may_lie_in",
    "reaching",
    "require_model",
    "require_tenant",
    "selected",
    "source_partitions",
    "tenant_lock",
    "texts",
    "to_estimate",
    "utc",
    "with_indexes",
    "wording_condition",
    "wording_source",
];

/// A call of every other function, for the tenant `$t`; of those that are marked with `!` a tenant's own rows change the result.
/// `$v` and `$e` are an embedding, `$r` is the recipe, `$w` and `$h` the terms and the hash of the document `plan`.
const CALLS: &str = r#"
    ! accept_import($t, NULL, NULL, '', 'new', 's3://new', 'e', 9, 'q')
    ! begun_weights($t, $w, array_fill(1, ARRAY[cardinality($w)]), array_fill(1, ARRAY[cardinality($w)]), 'gehei')
    ! chunks_with_wording($t, '{"phrases": ["geheim"]}', NULL, 9)
    ! completions($t, 'gehei', 5)
    centre(array_fill(0::real, ARRAY[384]), '{}')
    ! admit_documents($t, NULL, '{plan}')
    begin_removal($t, 'story')
    ! claim_changes('w', 10, 10)
    continue_removal($t, 10)
    ! count_chunks($t)
    ! count_documents($t, NULL)
    ! count_matching($t, NULL, true)
    ! count_source_rows(7)
    ! delete_document($t, NULL, 'plan', NULL)
    ! delete_documents($t, '{plan}')
    ! delete_matching($t, NULL, NULL, 10, 'story')
    ! document_dates($t, NULL, '{plan}')
    ! document_hash($t, NULL, 'plan', true)
    ! explanation($t, 'plan', 0, 0.5, 0.5, 0.5, 40, $w, array_fill(1::float8, ARRAY[cardinality($w)]), 1)
    ! facets($t, '{plan}', '{$.k}', 5)
    ! fail_change('lost', 7, '[1]', 'because')
    ! few_match($t, '{}', 0)
    follow($t, 'rows', '{"table": "nowhere"}')
    ! forgotten_work($t, 'load', 'q', 3, -1)
    ! hold_changes('lost', 7, '{[1]}')
    ! import_failures($t, 'load', 3)
    ! import_lines_now('load', 3)
    ! import_parts_now('load', 3)
    ! import_state($t, 'load', 3)
    ! keyword_candidates($t, $w, array_fill(1::float8, ARRAY[cardinality($w)]), array_fill(1, ARRAY[cardinality($w)]), '1', 1, 1, 1, 5, 1, NULL, NULL, NULL, false, 99)
    ! list_tenants(NULL, 10)
    ! list_documents($t, NULL, 'id', false, NULL, NULL, 10, NULL, 'exact')
    ! lock_matching($t, NULL, NULL, 10)
    many_match($t, '{}', 5)
    measure_recall(0.9, 5)
    ! metadata_keys($t, NULL)
    ! nearest($t, $v, 10)
    ! nearest_exact($t, $v, 10, 1, '{}')
    ! nearest_of_documents($t, $v, 10, 1, '{plan}', 10)
    ! nearest_filtered($t, $v, 10, '{}')
    ! nearest_in_index($v, 10)
    ! nearest_listed($t, $v, 10, 1, '{plan}', '{0}')
    ! nearest_with_wording($t, $v, 10, 1, NULL, '{"phrases": ["geheim"]}', true)
    ! nearest_of_all($e, 10)
    ! nearest_of_tenant($t, $v, 10, 1)
    ! page_of_ids($t, NULL, 'id', false, NULL, NULL, 10)
    ! read_document($t, NULL, 'plan')
    ! relabel($t, NULL, '{plan}', '{"{}"}', '{x}', '{x}', ARRAY[$h])
    ! release_changes('lost', NULL, NULL, NULL, NULL)
    ! renew_changes('lost', 10)
    ! reopen_imports('q', 3)
    ! require_visible($t, '{"ids": []}', '{plan}')
    resolve_source('{"table": "nowhere"}')
    ! resync_source($t, 'rows')
    ! search($t, $r, 'hybrid', $e, '{geheim}', '{1}', 5, NULL, NULL, NULL, 0.5, 1, 1, '{0,1,1}',
        0, 1, 0, true, 0, 'exact', '{$.k}')
    ! semantic_candidates($t, $v, 10, 30, 1, NULL, NULL, 5000)
    ! settle_changes('lost', 7, '{[1]}', '{5}', '{NULL}')
    ! similar_documents($t, NULL, 'plan', 5, NULL, NULL, NULL)
    ! source_of($t, 'plan')
    ! source_rows(7, '{[1]}')
    ! source_state($t, NULL, NULL, 9)
    ! source_was_read(7)
    ! stored_documents($t, NULL, '{plan}')
    store_terms($t, '{}', '{}', '{}', '{}', '{}', '{}', '{}')
    ! tenant_state($t)
    ! term_weights($t, $w, array_fill(1, ARRAY[cardinality($w)]), array_fill(1, ARRAY[cardinality($w)]))
    ! unfollow($t, 'rows', false)
    ! upsert($t, NULL, NULL, $r, '{plan}', '{t}', '{c}', '{"{}"}', '{x}', '{x}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}')
    ! walk_sources(10)
    ! watch_sources()"#;

/// Rows of the tenant `other` in every table, besides its document.
const ROWS: &str = "
    INSERT INTO rappel.imports (id, source, etag, bytes, queue, tenant, created_at)
    VALUES ('load', 's3://geheim', 'x', 9, 'q', 'other', now() - interval '1 hour');
    INSERT INTO rappel.import_parts (import_id, part, first, last, position) VALUES ('load', 0, 0, 9, 0);
    INSERT INTO rappel.import_lines (import_id, part, position, length, line, document_id, outcome, reason)
    VALUES ('load', 0, 0, 9, 1, 'plan', 'refused', 'geheim');
    INSERT INTO rappel.import_ids (import_id, document_id, position, hash) VALUES ('load', 'plan', 0, 'x');
    INSERT INTO rappel.sources (id, tenant, name, definition, schema_name, table_name, relation, by_row, key_columns, key_types,
        title_sql, content_sql, metadata_sql, where_sql, phase, walk_began_at, failure, failed_at)
    OVERRIDING SYSTEM VALUE
    VALUES (7, 'other', 'rows', '{}', 'public', 'nowhere', 1, false, '{id}', '{integer}', '', '', '{}', 'true', 'rows',
        now(), 'geheim', now() - interval '1 hour');
    INSERT INTO rappel.source_changes (source_id, key, version, changed_at)
    VALUES (7, '[1]', '5', now() - interval '1 hour'), (7, '[2]', '5', now() - interval '1 hour');
    INSERT INTO rappel.source_attempts (source_id, key, version, worker, until, attempts)
    VALUES (7, '[1]', '5', 'lost', now() + interval '1 hour', 1);
    INSERT INTO rappel.source_documents (source_id, tenant, key, document_id) VALUES (7, 'other', '[1]', 'plan');
    INSERT INTO rappel.source_events (source_id, why) VALUES (7, 'truncate');
    INSERT INTO rappel.tenant_removals (tenant) VALUES ('other')";

/// A session of the functions' login, and what the calls are made with.
struct Session {
    sql: Sql,
    recipe: String,
    terms: String,
    hash: String,
}

impl Session {
    /// What `query` answers where `rappel.tenant` is `setting`, or its error; nothing stays of it.
    async fn ask(&self, setting: Option<&str>, query: &str) -> anyhow::Result<String> {
        self.sql.run("BEGIN").await?;
        if let Some(setting) = setting {
            let set = "SELECT set_config('rappel.tenant', $1, true)";
            self.sql.texts(set, &[&setting]).await?;
        }
        let said = match self.sql.texts(query, &[]).await {
            Ok(rows) => rows.concat(),
            Err(error) => format!("{:?}", error.root_cause()),
        };
        self.sql.run("ROLLBACK").await?;
        Ok(said)
    }

    /// What a call for `tenant` answers.
    async fn call(
        &self,
        setting: Option<&str>,
        call: &str,
        tenant: &str,
    ) -> anyhow::Result<String> {
        let call = call
            .replace("$t", &format!("'{tenant}'"))
            .replace("$v", "$e::halfvec")
            .replace("$e", "array_fill(0.05::real, ARRAY[384])")
            .replace("$r", &format!("'{}'", self.recipe))
            .replace("$w", &format!("'{}'::text[]", self.terms))
            .replace("$h", &format!("'{}'::bytea", self.hash));
        let query = format!("SELECT coalesce(jsonb_agg(to_jsonb(x)), '[]')::text FROM {call} AS x");
        self.ask(setting, &query).await
    }

    /// What all calls answer in each of the situations in which nothing of the tenant `other` may show.
    async fn answers(
        &self,
        entries: &BTreeSet<String>,
    ) -> anyhow::Result<BTreeMap<String, String>> {
        let mut answers = BTreeMap::new();
        for (name, call, _) in calls() {
            // A function that sets the tenant that it is called for may be called for any.
            let foreign = if entries.contains(name) {
                "acme"
            } else {
                "other"
            };
            for (setting, tenant) in [
                (None, "acme"),
                (Some("acme"), "acme"),
                (None, foreign),
                (Some("acme"), foreign),
            ] {
                let answer = self.call(setting, call, tenant).await?;
                answers.insert(format!("{name} for {tenant} with {setting:?}"), answer);
            }
        }
        Ok(answers)
    }
}

/// Name, call, and whether a tenant's own rows change the result.
fn calls() -> impl Iterator<Item = (&'static str, &'static str, bool)> {
    let mut calls: Vec<(usize, usize)> = Vec::new();
    let mut at = 0;
    for line in CALLS.split_inclusive('\n') {
        // A call goes on in lines that are further in.
        match calls.last_mut() {
            Some(last) if line.starts_with("        ") => last.1 = at + line.len(),
            _ if line.trim().is_empty() => {}
            _ => calls.push((at, at + line.len())),
        }
        at += line.len();
    }
    calls.into_iter().map(|(from, to)| {
        let call = CALLS[from..to].trim();
        let (reads, call) = match call.strip_prefix("! ") {
            Some(call) => (true, call),
            None => (false, call),
        };
        (call.split('(').next().unwrap_or_default(), call, reads)
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn the_functions_login_meets_no_row_of_another_tenant_in_any_table_or_function() -> Outcome {
    let deployment = Deployment::start("wall").await?;
    let (database, sql) = (
        database(deployment.url()?, PoolerSetting::Auto)?,
        deployment.app.sql().await?,
    );
    let store = async || {
        let document = json!({ "id": "plan", "title": "Geheim", "content": "Der geheime Plan.", "metadata": { "k": "geheim" } });
        deployment
            .store(&database, &tenant("other"), document)
            .await
    };
    store().await?;
    let first = async |query: &str| anyhow::Ok(sql.texts(query, &[]).await?.concat());
    let session = Session {
        sql: Sql::connect(&deployment.url()?).await?,
        recipe: deployment.recipe.clone(),
        terms: first("SELECT terms::text FROM rappel.chunk_terms").await?,
        hash: first("SELECT content_hash::text FROM rappel.documents").await?,
    };
    sql.run("TRUNCATE rappel.documents CASCADE").await?;
    session
        .sql
        .run(&format!(
            "SET search_path = {}, public",
            migrations::FUNCTIONS
        ))
        .await?;
    let functions = format!(
        "SELECT DISTINCT proname::text FROM pg_proc WHERE pronamespace = '{}'::regnamespace",
        migrations::FUNCTIONS
    );
    let entries = format!("{functions} AND prosrc LIKE '%set_config(''rappel.tenant''%'");
    let entries: BTreeSet<String> = sql.texts(&entries, &[]).await?.into_iter().collect();
    let mut called: Vec<&str> = calls().map(|(name, ..)| name).chain(PURE).collect();
    called.sort_unstable();
    let mut functions = sql.texts(&functions, &[]).await?;
    functions.sort_unstable();
    assert_eq!(functions, called, "every function is called here, or pure");

    let before = session.answers(&entries).await?;
    let mut own = BTreeMap::new();
    for (name, call, _) in calls() {
        own.insert(name, session.call(Some("other"), call, "other").await?);
    }
    store().await?;
    sql.run(ROWS).await?;
    for (case, answer) in session.answers(&entries).await? {
        assert_eq!(before[&case], answer, "{case}");
    }
    let mut wrong = Vec::new();
    for (name, call, reads) in calls() {
        let answer = session.call(Some("other"), call, "other").await?;
        if (own[name] != answer) != reads {
            wrong.push((name, answer));
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
    tables(&session, &sql).await?;
    database.close().await;
    drop(session);
    deployment.end().await
}

/// Every table has rows of the tenant `other`, and shows them to it alone.
async fn tables(session: &Session, sql: &Sql) -> Outcome {
    let tables = "SELECT c.relname::text FROM pg_class AS c
        WHERE c.relnamespace = 'rappel'::regnamespace AND c.relkind = 'r' ORDER BY 1";
    for table in sql.texts(tables, &[]).await? {
        if SHARED.contains(&table.as_str()) {
            continue;
        }
        let rows = format!("SELECT count(*)::text FROM rappel.{table}");
        for (setting, shown) in [
            (None, false),
            (Some(""), false),
            (Some("acme"), false),
            (Some("other"), true),
            (Some("*"), true),
        ] {
            let counted = session.ask(setting, &rows).await?;
            assert_eq!(counted != "0", shown, "{table} with {setting:?}: {counted}");
        }
        let delete = format!(
            "WITH d AS (DELETE FROM rappel.{table} RETURNING 1) SELECT count(*)::text FROM d"
        );
        assert_eq!(session.ask(Some("acme"), &delete).await?, "0", "{table}");
        let column = "SELECT attname::text FROM pg_attribute
            WHERE attrelid = to_regclass('rappel.' || $1) AND attname IN ('tenant', 'source_id', 'import_id') ORDER BY 1 DESC LIMIT 1";
        let column = sql.texts(column, &[&table]).await?.concat();
        let update = format!(
            "WITH u AS (UPDATE rappel.{table} SET {column} = {column} RETURNING 1) SELECT count(*)::text FROM u"
        );
        assert_eq!(session.ask(Some("acme"), &update).await?, "0", "{table}");
        // A copy of a row of `other`, with whatever makes it another one, is refused before it is compared with any.
        let copy = format!(
            "INSERT INTO rappel.{table} OVERRIDING SYSTEM VALUE
             SELECT (jsonb_populate_record(NULL::rappel.{table}, $j$ {} $j$)).* RETURNING 'stored'",
            sql.texts(
                &format!("SELECT to_jsonb(t)::text FROM rappel.{table} AS t LIMIT 1"),
                &[]
            )
            .await?
            .concat()
        );
        let refused = session.ask(Some("acme"), &copy).await?;
        assert!(
            refused.contains("row-level security policy"),
            "{table}: {refused}"
        );
    }
    let pooled = "SELECT count(*)::text FROM pg_roles AS r JOIN pg_class AS c ON c.relowner = r.oid
        WHERE r.rolname = current_user OR (r.rolname = current_user AND (r.rolsuper OR r.rolbypassrls))";
    let owned = session.sql.texts(pooled, &[]).await?.concat();
    Some(owned)
        .filter(|owned| owned == "0")
        .context("the login owns or bypasses something")
        .map(drop)
}
