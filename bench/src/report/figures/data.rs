//! Index, imports, prices.

use super::{Figure, colour_of, milliseconds};
use crate::{
    bulk::Import,
    cost::Price,
    recall::Recall,
    report::plot::{Bar, Curve, bars, curves, number},
    results::Results,
    scaling::Size,
    statistics::Line,
};

pub(super) fn recall(results: &Results) -> Option<Figure> {
    let curve = |name: &str, colour: usize, at: fn(&Recall) -> (f64, f64)| Curve {
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

pub(super) fn scaling(results: &Results) -> Option<Figure> {
    let sizes = &results.scaling;
    let curve = |name: &str, colour: usize, part: fn(&Size) -> f64| Curve {
        name: name.to_owned(),
        colour,
        points: sizes
            .iter()
            .map(|size| {
                let mark = if size.synthetic > 0 { "*" } else { "" };
                (size.passages as f64, part(size), number(part(size)) + mark)
            })
            .collect(),
    };
    let all = [
        curve("semantic, p50", 0, |size| size.semantic.p50),
        curve("semantic, p99", 2, |size| size.semantic.p99),
        curve("hybrid, p50", 1, |size| size.hybrid.p50),
    ];
    let logarithm = |size: &Size| ((size.passages as f64).log10(), size.semantic.p50);
    let line = Line::through(&sizes.iter().map(logarithm).collect::<Vec<_>>());
    let beyond = line.map_or_else(String::new, |line| {
        format!(
            " An HNSW search grows with the logarithm of the size: {} more per factor of ten, so {} for ten million \
             if the index still fits in memory. If not, pages are read sequentially: some 25 per unit of \
             SEARCH_EFFORT.",
            milliseconds(line.slope),
            milliseconds(line.at(7.0))
        )
    });
    let exact = sizes.last().map_or(0.0, |size| size.exact.p50);
    (!sizes.is_empty()).then(|| Figure {
        heading: "Growth of the corpus: searches",
        svg: curves("passages", "ms of SQL", true, &all),
        caption: format!(
            "* contains synthetic passages: real embeddings with noise. Exact search grows in proportion and takes {} \
             at the \
             last size.{beyond}",
            milliseconds(exact)
        ),
    })
}

pub(super) fn index(results: &Results) -> Option<Figure> {
    let sizes = &results.scaling;
    let points = |part: &dyn Fn(&Size) -> f64| -> Vec<(f64, f64, String)> {
        let point = |size: &Size| (size.passages as f64, part(size), number(part(size)));
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
            "The index takes {} bytes per passage at any size; its build is fast as long as it fits in \
             maintenance_work_mem. recall@10 at these sizes: {}.",
            number(line.map_or(0.0, |line| line.slope)),
            recalls.join(", ")
        ),
    })
}

pub(super) fn bulk(results: &Results) -> Option<Figure> {
    let bar = |import: &Import| {
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
    let times = |import: &Import| (import.passages as f64, import.loading_s);
    let line = Line::through(&results.bulk.iter().map(times).collect::<Vec<_>>());
    let beyond = line.filter(|line| line.slope > 0.0).map_or_else(String::new, |line| {
        format!(
            " An import takes {} s to start and then a second per {} passages at any size: the index is built \
             after the load. In a database with 10,000 passages or more the index is extended row by row, which \
             takes longer than embedding on many cores.",
            number(line.intercept.max(0.0)),
            number(1.0 / line.slope)
        )
    });
    Some(Figure {
        heading: "Bulk import",
        svg: bars("passages/s", &[], &all),
        caption: format!(
            "{} threads, {} passages a second and core; peak memory {} MB; the index of the last took {} s. Compared \
             with ONNX Runtime alone on the same texts, already tokenized.{beyond} The first batches \
             have 128 documents: fewer than that per core leave cores idle.",
            last.threads,
            number(last.rate / last.threads as f64),
            number(last.memory_mb),
            number(last.indexing_s),
        ),
    })
}

pub(super) fn cost(results: &Results) -> Option<Figure> {
    let curve = |(program, prices): &(String, Vec<Price>)| Curve {
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
    };
    let all: Vec<Curve> = results.cost.iter().map(curve).collect();
    let has_points = all.iter().any(|curve| !curve.points.is_empty());
    has_points.then(|| Figure {
        heading: "Dollars per million searches",
        svg: curves("MB of memory", "dollars", true, &all),
        caption: "By Lambda's prices: billed milliseconds, with Init for one search in a hundred, times memory. \
                  Below 1,769 MB a function has less than one vCPU, and its processor time is assumed to \
                  grow in proportion. Sizes that are too small are omitted."
            .to_owned(),
    })
}
