//! The plots of a run: each with a heading, and with the sentence that it is there for.

use super::plot::{Bar, Curve, bars, curves, number};
use crate::{
    RAPPEL,
    cold::PageCache,
    results::Results,
    statistics::{Line, Summary},
    warm::Case,
};

/// A plot with its words.
pub(super) struct Figure {
    pub(super) heading: &'static str,
    pub(super) svg: String,
    /// What is to be seen, and how it was measured.
    pub(super) caption: String,
}

/// Every plot that there are results for.
pub(super) fn all(results: &Results) -> Vec<Figure> {
    let figures = [
        cold(results),
        steps(results),
        memory(results),
        in_turn(results),
        rates(results),
        sandboxes(results),
        kinds(results),
        recall(results),
        scaling(results),
        index(results),
        bulk(results),
        cost(results),
    ];
    figures.into_iter().flatten().collect()
}

fn milliseconds(value: f64) -> String {
    format!("{} ms", number(value))
}

fn colour_of(program: &str) -> usize {
    usize::from(program != RAPPEL)
}

fn cold(results: &Results) -> Option<Figure> {
    let bar = |cold: &crate::cold::Cold| Bar {
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

/// The two lanes of a start, which run side by side.
fn steps(results: &Results) -> Option<Figure> {
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
        heading: "Where a cold start goes",
        svg: bars("ms", &[], &[embedding, database]),
        caption: format!(
            "Side by side, in order. Embedding: exec {}, ONNX Runtime {}, the model's session {}, tokenizer and \
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

fn memory(results: &Results) -> Option<Figure> {
    let warm = results
        .cold
        .iter()
        .filter(|cold| cold.page_cache == PageCache::Warm);
    let bar = |cold: &crate::cold::Cold| Bar {
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

fn in_turn(results: &Results) -> Option<Figure> {
    let bar = |(program, summary): &(String, Summary)| Bar {
        label: program.clone(),
        parts: vec![(colour_of(program), summary.p50)],
        mark: Some(summary.p99),
        text: milliseconds(summary.p50),
    };
    let mut all: Vec<Bar> = results.in_turn.programs.iter().map(bar).collect();
    if let Some(exact) = &results.exact {
        all.push(bar(&(exact.program.clone(), exact.load.latency)));
    }
    (!results.in_turn.programs.is_empty()).then(|| Figure {
        heading: "Warm search",
        svg: bars("ms", &[], &all),
        caption: format!(
            "From event to answer, p50; the mark is p99. Each of {} questions went to every program in turn. Of \
             Rappel's, embedding alone takes {} and SQL alone {}; the rest is overhead: {} p50.",
            results.setting.questions,
            milliseconds(results.in_turn.embed_alone.p50),
            milliseconds(results.in_turn.database_alone.p50),
            milliseconds(results.in_turn.overhead.p50),
        ),
    })
}

fn case_bar(case: &Case, label: String) -> Bar {
    let load = &case.load;
    Bar {
        label,
        parts: vec![
            (0, load.embed.p50),
            (1, load.database.p50),
            (2, load.rest.p50.max(0.0)),
        ],
        mark: Some(load.latency.p99),
        text: format!(
            "{} · p99 {}",
            milliseconds(load.latency.p50),
            number(load.latency.p99)
        ),
    }
}

const PARTS: [&str; 3] = ["embedding", "database", "rest"];

fn rates(results: &Results) -> Option<Figure> {
    let rated = results
        .warm
        .iter()
        .filter_map(|case| Some((case, case.load.rate?)));
    let all: Vec<Bar> = rated
        .map(|(case, rate)| case_bar(case, format!("{}, {}/s", case.program, number(rate))))
        .collect();
    (!all.is_empty()).then(|| Figure {
        heading: "One sandbox at fixed rates",
        svg: bars("ms", &PARTS, &all),
        caption: "Searches come at even distances, at 30, 60 and 90 % of what the sandbox can do at most, and are \
                  timed from the moment they are due: waiting behind others counts. The mark is p99."
            .to_owned(),
    })
}

fn sandboxes(results: &Results) -> Option<Figure> {
    let saturated = |program: &str| -> Vec<&Case> {
        let of = |case: &&Case| case.program == program && case.name.starts_with("saturation");
        results.warm.iter().filter(of).collect()
    };
    let curve = |program: &str| Curve {
        name: program.to_owned(),
        colour: colour_of(program),
        points: saturated(program)
            .iter()
            .map(|case| {
                (
                    case.load.sandboxes as f64,
                    case.load.throughput,
                    number(case.load.throughput),
                )
            })
            .collect(),
        dashed: false,
    };
    let all: Vec<Curve> = [RAPPEL, "peer, same index"]
        .into_iter()
        .map(curve)
        .collect();
    let all: Vec<Curve> = all
        .into_iter()
        .filter(|curve| !curve.points.is_empty())
        .collect();
    let most = saturated(RAPPEL)
        .iter()
        .map(|case| case.load.throughput)
        .fold(0.0, f64::max);
    let cores = results.setting.cores;
    (!all.is_empty()).then(|| Figure {
        heading: "Throughput",
        svg: curves("sandboxes", "searches/s", false, &all),
        caption: format!(
            "At saturation, with Postgres and the harness on the same {cores} cores: {} searches a second and core. \
             Up to the cores it grows with the sandboxes; beyond, the cores are shared. On Lambda each sandbox has \
             its own, so there the database is the limit.",
            number(most / cores as f64)
        ),
    })
}

fn kinds(results: &Results) -> Option<Figure> {
    let of = |case: &&Case| case.load.rate.is_none() && !case.name.starts_with("saturation");
    let all: Vec<Bar> = results
        .warm
        .iter()
        .filter(of)
        .map(|case| case_bar(case, case.name.clone()))
        .collect();
    (!all.is_empty()).then(|| Figure {
        heading: "Kinds of searches, ways to the database",
        svg: bars("ms", &PARTS, &all),
        caption: "One sandbox, one search after the other, p50; the mark is p99. Filters match documents that were \
                  marked at random."
            .to_owned(),
    })
}

fn recall(results: &Results) -> Option<Figure> {
    let curve = |name: &str, colour: usize, at: fn(&crate::recall::Recall) -> (f64, f64)| Curve {
        name: name.to_owned(),
        colour,
        points: results
            .recall
            .iter()
            .map(|recall| {
                let (x, y) = at(recall);
                (x, y, recall.effort.to_string())
            })
            .collect(),
        dashed: false,
    };
    let all = [
        curve("recall@10", 0, |recall| {
            (recall.latency_10.p50, recall.at_10)
        }),
        curve("recall@100", 1, |recall| {
            (recall.latency_100.p50, recall.at_100)
        }),
    ];
    (!results.recall.is_empty()).then(|| Figure {
        heading: "Recall",
        svg: curves("ms of SQL, p50", "share found", false, &all),
        caption: format!(
            "Against exact search, which takes {} p50. Each point is a value of SEARCH_EFFORT (hnsw.ef_search).",
            milliseconds(results.recall_exact.p50)
        ),
    })
}

fn scaling(results: &Results) -> Option<Figure> {
    let sizes = &results.scaling;
    let curve = |name: &str, colour: usize, part: fn(&crate::scaling::Size) -> f64| Curve {
        name: name.to_owned(),
        colour,
        points: sizes
            .iter()
            .map(|size| {
                let mark = if size.synthetic > 0 { "*" } else { "" };
                (size.passages as f64, part(size), number(part(size)) + mark)
            })
            .collect(),
        dashed: false,
    };
    let all = [
        curve("semantic, p50", 0, |size| size.semantic.p50),
        curve("semantic, p99", 2, |size| size.semantic.p99),
        curve("hybrid, p50", 1, |size| size.hybrid.p50),
    ];
    let logarithm =
        |size: &crate::scaling::Size| ((size.passages as f64).log10(), size.semantic.p50);
    let line = Line::through(&sizes.iter().map(logarithm).collect::<Vec<_>>());
    let beyond = line.map_or_else(String::new, |line| {
        format!(
            " An HNSW search grows with the logarithm of the size: {} more for each tenfold, which makes {} at ten \
             million if the index still fits in memory.",
            milliseconds(line.slope),
            milliseconds(line.at(7.0))
        )
    });
    let exact = sizes.last().map_or(0.0, |size| size.exact.p50);
    (!sizes.is_empty()).then(|| Figure {
        heading: "Growth of the corpus: searches",
        svg: curves("passages", "ms of SQL", true, &all),
        caption: format!(
            "* holds made passages: real embeddings with noise. Exact search grows in proportion and takes {} at the \
             last size.{beyond}",
            milliseconds(exact)
        ),
    })
}

fn index(results: &Results) -> Option<Figure> {
    let sizes = &results.scaling;
    let points = |part: &dyn Fn(&crate::scaling::Size) -> f64| -> Vec<(f64, f64, String)> {
        let point =
            |size: &crate::scaling::Size| (size.passages as f64, part(size), number(part(size)));
        sizes.iter().map(point).collect()
    };
    let all = [
        Curve {
            name: "index, MB".to_owned(),
            points: points(&|size| size.index_bytes as f64 / 1e6),
            ..Curve::default()
        },
        Curve {
            name: "built in, s".to_owned(),
            colour: 1,
            points: points(&|size| size.indexing_s),
            ..Curve::default()
        },
    ];
    let line = Line::through(
        &sizes
            .iter()
            .map(|size| (size.passages as f64, size.index_bytes as f64))
            .collect::<Vec<_>>(),
    );
    let recalls: Vec<String> = sizes
        .iter()
        .map(|size| format!("{:.3}", size.recall_at_10))
        .collect();
    (!sizes.is_empty()).then(|| Figure {
        heading: "Growth of the corpus: the index",
        svg: curves("passages", "MB, s", false, &all),
        caption: format!(
            "The index takes {} bytes a passage, in proportion at any size; its build is fast as long as it fits in \
             maintenance_work_mem. recall@10 at these sizes: {}.",
            number(line.map_or(0.0, |line| line.slope)),
            recalls.join(", ")
        ),
    })
}

fn bulk(results: &Results) -> Option<Figure> {
    let bar = |import: &crate::bulk::Import| {
        let label = |what: &str| format!("{what}, {} passages", number(import.passages as f64));
        let text = |rate: f64| format!("{}/s", number(rate));
        let ours = Bar {
            label: label("import"),
            parts: vec![(0, import.rate)],
            text: text(import.rate),
            ..Bar::default()
        };
        let raw = import.raw_rate.map(|raw| Bar {
            label: label("ONNX Runtime"),
            parts: vec![(4, raw)],
            text: text(raw),
            ..Bar::default()
        });
        [Some(ours), raw].into_iter().flatten()
    };
    let all: Vec<Bar> = results.bulk.iter().flat_map(bar).collect();
    let last = results.bulk.last()?;
    Some(Figure {
        heading: "Bulk import",
        svg: bars("passages/s", &[], &all),
        caption: format!(
            "{} threads, {} passages a second and core; peak memory {} MB; the index of the last took {} s. Beside it \
             ONNX Runtime alone on the same texts, tokenized before. The start of the models weighs less the larger \
             an import is.",
            last.threads,
            number(last.rate / last.threads as f64),
            number(last.memory_mb),
            number(last.indexing_s),
        ),
    })
}

fn cost(results: &Results) -> Option<Figure> {
    let curve = |(program, prices): &(String, Vec<crate::cost::Price>)| Curve {
        name: program.clone(),
        colour: colour_of(program),
        points: prices
            .iter()
            .map(|price| {
                (
                    f64::from(price.megabytes),
                    price.with_cold,
                    format!("{:.2}", price.with_cold),
                )
            })
            .collect(),
        dashed: false,
    };
    let all: Vec<Curve> = results.cost.iter().map(curve).collect();
    let has_points = all.iter().any(|curve| !curve.points.is_empty());
    has_points.then(|| Figure {
        heading: "Dollars of a million searches",
        svg: curves("MB of memory", "dollars", true, &all),
        caption: "By Lambda's prices: billed milliseconds, Init among them for one search in a hundred, times memory. \
                  Below 1,769 MB a function has less than one processor, and what is not waiting is taken to last \
                  longer in proportion. Sizes that a function does not fit are left out."
            .to_owned(),
    })
}
