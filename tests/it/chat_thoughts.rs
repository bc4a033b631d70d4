//! The thoughts of a model, which are not part of its answer.

use anyhow::Context as _;
use serde_json::json;
use tests::language_model::{Reply, Step};

use crate::{
    Outcome,
    chat::{app_with, ingest},
    chat_endpoints::{answer, question},
};

#[tokio::test(flavor = "multi_thread")]
async fn reasoning_is_kept_out_of_the_answer_and_sent_on_request() -> Outcome {
    let within = || Reply::text(&["<th", "ink>La source [1] ?</thi", "nk>\n\nÀ 22 heures [1]."]);
    let beside = Reply::Stream(vec![
        Step::Data(r#"{"choices":[{"delta":{"reasoning_content":"La source [1] ?"}}]}"#),
        Step::Text("À 22 heures [1]."),
        Step::Finish("stop"),
    ]);
    let bracketed = Reply::text(&["[THI", "NK]La source [1] ?[/THINK]À 22 heures [", "1]."]);
    let replies = [
        within(),
        beside.clone(),
        bracketed,
        within(),
        beside,
        within(),
    ];
    let (app, _model) = app_with(replies, &[]).await?;
    ingest(&app).await?;
    for _ in 0..3 {
        let (text, _, done) = answer(&app).await?;
        assert_eq!(text, "À 22 heures [1].");
        assert_eq!(done["citations"][0]["start"], 12, "{done}");
    }
    let mut asked = question();
    asked["reasoning"] = json!(true);
    for _ in 0..2 {
        let mut events = app.events("/chat", &asked).await?;
        events.expect("sources").await?;
        let (mut thought, mut text) = (String::new(), String::new());
        while let Some((name, data)) = events.next().await? {
            match name.as_str() {
                "reasoning" => thought += data["text"].as_str().context("a thought has text")?,
                "delta" => text += data["text"].as_str().context("a delta has text")?,
                name => assert_eq!(name, "done"),
            }
        }
        assert_eq!(
            (thought.as_str(), text.as_str()),
            ("La source [1] ?", "À 22 heures [1].")
        );
    }
    asked["stream"] = json!(false);
    let whole = app.post("/chat", asked).await?.success(200)?;
    assert_eq!(
        (&whole["reasoning"], &whole["answer"]),
        (&json!("La source [1] ?"), &json!("À 22 heures [1]."))
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn thoughts_that_the_template_opened_are_recognised_by_their_end() -> Outcome {
    let thinking = || Reply::text(&["La source [1] ?\n</thi", "nk>\n\nÀ 22 heures [1]."]);
    let replies = [
        thinking(),
        thinking(),
        Reply::text(&["La source [1] ?</thi", "nk>À 22 heures [1]."]),
        Reply::text(&["À 22 heures [1]."]),
    ];
    let (app, _model) = app_with(replies, &[]).await?;
    ingest(&app).await?;
    // A whole answer is right from the first.
    let mut whole = question();
    whole["stream"] = json!(false);
    let answered = app.post("/chat", whole).await?.success(200)?;
    assert_eq!(answered["answer"], "À 22 heures [1].");
    // It taught the function that this model thinks first; an answer without thoughts stays whole.
    for _ in 0..3 {
        let (text, ..) = answer(&app).await?;
        assert_eq!(text, "À 22 heures [1].");
    }
    Ok(())
}
