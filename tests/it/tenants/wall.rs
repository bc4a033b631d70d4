//! The second wall: the functions' login itself, past every function, sees and changes no row of another tenant.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context as _;
use database::PoolerSetting;
use serde_json::json;
use tests::Sql;

use super::{Deployment, Outcome, database, tenant};

/// Tables that belong to no tenant.
const SHARED: [&str; 3] = ["functions", "migrations", "model"];

/// Functions that read and write no table of tenants, or, those of the triggers, return nothing and only make what a source
/// needs.
const PURE: [&str; 15] = [
    "bm25_expression",
    "chosen",
    "drop_source_function",
    "drop_source_triggers",
    "fusion",
    "key_of_row",
    "key_values",
    "make_source_function",
    "matches",
    "reaching",
    "require_model",
    "require_tenant",
    "source_partitions",
    "texts",
    "utc",
];

/// A call of every other function, for the tenant `$t`; of those that are marked with `!` a tenant's own rows change the result.
const CALLS: &str = "
    centre(array_fill(0::real, ARRAY[384]), '{}')
    ! claim_changes('w', 10, 10)
    ! count_chunks($t)
    ! count_documents($t, NULL)
    ! count_matching($t, NULL, true)
    count_source_rows(7)
    ! delete_document($t, NULL, 'plan', NULL)
    ! delete_documents($t, '{plan}')
    ! delete_matching($t, NULL, 10)
    ! document_dates($t, NULL, '{plan}')
    ! document_hash($t, NULL, 'plan', true)
    ! explanation($t, 'plan', 0, 0.5, 0.5, 0.5, 40, (SELECT array_agg(v.t) FROM v), '{1,1,1,1,1,1,1,1,1}', 1)
    ! facets($t, '{plan}', '{$[*]}', 5)
    ! fail_change('lost', 7, '[1]', 'because')
    ! few_match($t, '{}', 0)
    follow($t, 'rows', '{\"table\": \"nowhere\"}')
    ! forgotten_work($t, 'load', 'q', 3, -1)
    ! hold_changes('lost', 7, '{[1]}')
    ! import_failures($t, 'load', 3)
    ! import_lines_now('load', 3)
    ! import_parts_now('load', 3)
    ! import_state($t, 'load', 3)
    ! keyword_candidates($t, (SELECT array_agg(v.t) FROM v), '{1,1,1,1,1,1,1,1,1}', '1', 1, 1, 1, 5, 1, NULL, NULL, NULL, false, 99)
    ! list_documents($t, NULL, 'id', false, NULL, NULL, 10, NULL, 'exact')
    ! lock_matching($t, NULL, NULL, 10)
    many_match($t, '{}', 5)
    measure_recall(0.9, 5)
    ! metadata_keys($t, NULL)
    ! nearest($t, q.v, 10)
    ! nearest_exact($t, q.v, 10, 1, '{}', NULL)
    ! nearest_filtered($t, q.v, 10, '{}')
    ! nearest_in_index(q.v, 10)
    ! nearest_of_all(array_fill(0.05::real, ARRAY[384]), 10)
    ! nearest_of_tenant($t, q.v, 10, 1)
    ! page_of_ids($t, NULL, 'id', false, NULL, NULL, 10)
    ! read_document($t, NULL, 'plan')
    ! relabel($t, NULL, '{plan}', '{\"{}\"}', '{x}', '{x}', (SELECT array_agg(v.h) FROM v))
    ! release_changes('lost', NULL, NULL, NULL, NULL)
    ! renew_changes('lost', 10)
    ! reopen_imports('q', 3)
    ! require_visible($t, '{\"ids\": []}', '{plan}')
    resolve_source('{\"table\": \"nowhere\"}')
    ! resync_source($t, 'rows')
    ! search($t, v.r, 'hybrid', array_fill(0.05::real, ARRAY[384]), '{geheim}', '{1}', 5, NULL, NULL, NULL, 0.5, 1, 1, '{0,1,1}',
        0, 1, 0, true, 0, 'exact', '{$[*]}')
    ! semantic_candidates($t, q.v, 10, 30, 1, NULL, NULL, 5000)
    ! settle_changes('lost', 7, '{[1]}', '{5}', '{NULL}')
    ! source_rows(7, '{[1]}')
    ! source_state($t, NULL)
    ! source_was_read(7)
    ! stored_documents($t, NULL, '{plan}')
    store_terms($t, '{}', '{}', '{}', '{}', '{}', '{}', '{}')
    ! term_weights($t, (SELECT array_agg(v.t) FROM v), '{1,2,3,4,5,6,7,8,9}')
    ! unfollow($t, 'rows', false)
    ! upsert($t, NULL, v.r, '{plan}', '{t}', '{c}', '{\"{}\"}', '{x}', '{x}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}')
    ! walk_sources(10)
    ! watch_sources()";
