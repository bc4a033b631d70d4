//! What is under way: imports of a login that owns no table, and writes while their tenant is removed.

use super::{Deployment, Outcome};
use crate::imports::lines;

#[tokio::test(flavor = "multi_thread")]
async fn an_import_is_accepted_and_done_by_a_login_that_owns_no_table() -> Outcome {
    let (deployment, imports) = Deployment::importing("accepted").await?;
    let app = &deployment.app;
    let source = imports.put("two.jsonl", lines("page", 2, 10)).await?;
    let id = app.import(&source).await?;
    let import = app.finished(&id).await?;
    assert_eq!(import["state"], "done", "{import}");
    assert_eq!(import["documents"]["done"], 2, "{import}");
    deployment.end().await
}
