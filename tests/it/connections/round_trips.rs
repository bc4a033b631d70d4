//! The round trips of a search.

use std::time::Duration;

use serde_json::json;
use tests::{
    App,
    proxy::{Proxy, with_port},
};
use tokio::time::sleep;

use super::{LONG_IDLE, Outcome, port};

/// Whatever is sent after an answer has left by then.
const AFTERMATH: Duration = Duration::from_millis(300);

async fn a_warm_search_waits(pooler: &'static str, turns: usize) -> Outcome {
    let (app, proxy) = App::through(async |url| {
        let proxy = Proxy::to(port(url)?).await?;
        let variables = vec![
            ("DATABASE_URL".to_owned(), with_port(url, proxy.port())?),
            ("DATABASE_POOLER".to_owned(), pooler.to_owned()),
        ];
        Ok((proxy, variables))
    })
    .await?;
    app.invoke("migrate", json!({})).await?;
    app.ingest_samples(&["sante-migraine", "recette-crepes"])
        .await?;
    let search = async || {
        let before = (proxy.turns(), proxy.connections());
        app.hits(json!({ "query": "comment soulager une migraine ?" }))
            .await?;
        sleep(AFTERMATH).await;
        anyhow::Ok((proxy.turns() - before.0, proxy.connections() - before.1))
    };
    println!(
        "{pooler}: (turns, connections) of a first search {:?}",
        search().await?
    );
    search().await?;
    assert_eq!(search().await?, (turns, 0), "a warm search, {pooler}");
    assert_eq!(search().await?, (turns, 0), "another one");
    sleep(LONG_IDLE).await;
    assert_eq!(search().await?, (turns, 0), "after an idle time");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_warm_search_is_one_round_trip() -> Outcome {
    a_warm_search_waits("direct", 1).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_warm_search_through_a_transaction_pooler_is_four_round_trips() -> Outcome {
    a_warm_search_waits("transaction", 4).await
}
