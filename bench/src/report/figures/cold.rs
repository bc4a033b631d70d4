//! Cold starts.

use super::{Figure, colour_of, milliseconds};
use crate::{
    RAPPEL,
    cold::{Cold, PageCache},
    report::plot::{Bar, bars, number},
    results::Results,
    statistics::Summary,
};

pub(super) fn cold(results: &Results) -> Option<Figure> {
    let bar = |cold: &Cold| Bar {
        label: match cold.page_cache {
            PageCache::Warm => cold.program.clone(),
            PageCache::Evicted => format!("{}, from disk", cold.program),
        },
        parts: vec![(0, cold.ready.p50), (1, cold.answered.p50 - cold.ready.p50)],
        mark: Some(cold.answered.p90),
        text: milliseconds(cold.answered.p50),
    };
    let all: Vec<Bar> = results.cold.iter().map(bar).collect();
    (!all.is_empty()).then(|| Figure {
        heading: "Cold start",
        svg: bars("ms", &["until ready (Init)", "first search"], &all),
        caption: format!(
            "From exec to the first answered search over TLS, p50 of {} starts; the mark is p90. From disk: the \
             program, its library and its model were dropped from the page cache before each start.",
            results.setting.cold_runs
        ),
    })
}

/// The steps of both lanes, by colour.
const LANES: [&str; 4] = [
    "exec | dial",
    "ONNX Runtime | TLS",
    "session | login",
    "tokenizer | statement",
];

/// The two parallel lanes of a start.
pub(super) fn steps(results: &Results) -> Option<Figure> {
    let (_, steps) = results
        .steps
        .iter()
        .find(|(cache, _)| *cache == PageCache::Warm)?;
    let cold = results.cold_of(RAPPEL, PageCache::Warm)?;
    let connection = &cold.connection;
    let since = |later: Summary, earlier: Summary| (later.p50 - earlier.p50).max(0.0);
    let embedding = Bar {
        label: "embedding".to_owned(),
        parts: vec![
            (0, steps.exec.p50),
            (1, since(steps.runtime, steps.exec)),
            (2, since(steps.session, steps.runtime)),
            (3, since(steps.embedder, steps.session)),
        ],
        text: milliseconds(steps.embedder.p50),
        ..Bar::default()
    };
    let connected = [
        connection.dialled,
        connection.tls,
        connection.authentication,
        connection.statement,
    ];
    let database = Bar {
        label: "database".to_owned(),
        parts: (0..).zip(connected.map(|part| part.p50)).collect(),
        text: milliseconds(connected.iter().map(|part| part.p50).sum()),
        ..Bar::default()
    };
    Some(Figure {
        heading: "Steps of a cold start",
        svg: bars("ms", &LANES, &[embedding, database]),
        caption: format!(
            "In parallel, in order. Embedding: exec {}, ONNX Runtime {}, the model's session {}, tokenizer and \
             first embedding {}. Database: until it is dialled {}, TLS {}, authentication {}, first statement {}.",
            milliseconds(steps.exec.p50),
            milliseconds(since(steps.runtime, steps.exec)),
            milliseconds(since(steps.session, steps.runtime)),
            milliseconds(since(steps.embedder, steps.session)),
            milliseconds(connection.dialled.p50),
            milliseconds(connection.tls.p50),
            milliseconds(connection.authentication.p50),
            milliseconds(connection.statement.p50),
        ),
    })
}

pub(super) fn memory(results: &Results) -> Option<Figure> {
    let warm = results
        .cold
        .iter()
        .filter(|cold| cold.page_cache == PageCache::Warm);
    let bar = |cold: &Cold| Bar {
        label: cold.program.clone(),
        parts: vec![(colour_of(&cold.program), cold.memory_mb.p50)],
        mark: None,
        text: format!("{} MB", number(cold.memory_mb.p50)),
    };
    let all: Vec<Bar> = warm.map(bar).collect();
    (!all.is_empty()).then(|| Figure {
        heading: "Memory of a sandbox",
        svg: bars("MB", &[], &all),
        caption:
            "Peak resident memory (VmHWM) when the first search is answered, with mapped files."
                .to_owned(),
    })
}
