//! A streamed answer in the console.

use tests::{
    Browser, Key,
    language_model::{Reply, Step},
};

use crate::{Outcome, chat::app_with};

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_streams_stops_and_shows_its_sources_beside_it() -> Outcome {
    let Some(browser) = Browser::open("en-GB").await? else {
        return Ok(());
    };
    let first = Reply::Stream(vec![
        Step::Text("Cool it **at once** "),
        Step::Wait,
        Step::Text("[1].\n\n- no ice [1]\n- no `butter` [9]"),
        Step::Finish("stop"),
    ]);
    let rewritten = Reply::text(&["how long should a burn be cooled"]);
    let second = Reply::Stream(vec![Step::Text("For ten"), Step::Hang]);
    let (app, model) = app_with([first, rewritten, second], &[]).await?;
    app.ingest_samples(&["health-minor-burns", "sante-brulure"])
        .await?;
    browser.go(&format!("{}/#/chat", app.url())).await?;
    browser
        .fill(".composer textarea", "How do I treat a burn?")
        .await?;
    browser.press(Key::Enter).await?;
    browser.read(".live strong", "at once").await?;
    browser
        .read(".sources", "First aid for a minor burn")
        .await?;
    browser.gone(".cite").await?;
    model.go_on();
    browser.read(".answer li", "no ice").await?;
    // The number of a source that there is none of stays text.
    browser
        .until(
            "return document.querySelectorAll('.cite').length === 2",
            vec![],
        )
        .await?;
    browser.read(".answer li code", "butter").await?;
    browser.click(".cite").await?;
    browser
        .read("#panel blockquote", "lukewarm running water")
        .await?;
    browser.inspect_everywhere("chat").await?;
    browser.click("#panel > button").await?;
    browser
        .read("#panel .summary", "health-minor-burns")
        .await?;
    browser.press(Key::Escape).await?;

    browser
        .run(
            "document.querySelector('.turn').dataset.seen = 'yes'",
            vec![],
        )
        .await?;
    browser
        .fill(".composer textarea", "And for how long?")
        .await?;
    browser.click(".composer .primary").await?;
    browser.read(".live", "For ten").await?;
    browser.click(".composer .danger").await?;
    browser.read(".notice", "You stopped").await?;
    browser.read("#said", "You stopped").await?;
    model.reader_left().await?;
    browser.read(".answer", "For ten").await?;
    // The keyboard is where the button was; what was drawn before is not drawn again.
    let stays = "return document.activeElement.matches('.composer .primary') && document.querySelector('.turn').dataset.seen === 'yes'";
    browser.until(stays, vec![]).await?;

    // The endpoint has failed: the page says so, and goes on.
    browser.fill(".composer textarea", "And then?").await?;
    browser.press(Key::Enter).await?;
    browser.see(".problem").await?;
    browser.inspect("chat-failed").await?;
    // It is asked again, once.
    browser.click(".problem button").await?;
    browser.see(".problem").await?;
    browser
        .until(
            "return document.querySelectorAll('.turn').length === 3",
            vec![],
        )
        .await?;
    browser.close().await
}
