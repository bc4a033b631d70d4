//! Warm searches.

use super::{Figure, colour_of, milliseconds};
use crate::{
    RAPPEL,
    quota::Share,
    report::plot::{Bar, Curve, bars, curves, number},
    results::Results,
    statistics::Summary,
    warm::Case,
};

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
            "{} · p90 {} · p99 {}",
            milliseconds(load.latency.p50),
            number(load.latency.p90),
            number(load.latency.p99)
        ),
    }
}

const PARTS: [&str; 3] = ["embedding", "database", "rest"];

pub(super) fn in_turn(results: &Results) -> Option<Figure> {
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
            "From event to response, p50; the mark is p99. Each of {} questions went to every program in turn. Of \
             Rappel's time, embedding alone takes {} and SQL alone {}; the rest is overhead: {} p50. Acquiring a \
             connection takes {:.0} µs.",
            results.setting.questions,
            milliseconds(results.in_turn.embed_alone.p50),
            milliseconds(results.in_turn.database_alone.p50),
            milliseconds(results.in_turn.overhead.p50),
            1e3 * results.in_turn.acquire.p50,
        ),
    })
}

pub(super) fn rates(results: &Results) -> Option<Figure> {
    let rated = results
        .warm
        .iter()
        .filter_map(|case| Some((case, case.load.rate?)));
    let all: Vec<Bar> = rated
        .map(|(case, rate)| {
            let (program, sandboxes) = (&case.program, case.load.sandboxes);
            case_bar(case, format!("{program} × {sandboxes}, {}/s", number(rate)))
        })
        .collect();
    (!all.is_empty()).then(|| Figure {
        heading: "Fixed rates",
        svg: bars("ms", &PARTS, &all),
        caption: "Evenly spaced searches at 30, 60 and 90 % of the maximum rate of one and two sandboxes, timed from \
                  their due time, so queueing counts. The mark is p99."
            .to_owned(),
    })
}

pub(super) fn sandboxes(results: &Results) -> Option<Figure> {
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
    let database = saturated(RAPPEL)
        .first()
        .map_or(0.0, |case| case.load.database.p50);
    (!all.is_empty()).then(|| Figure {
        heading: "Throughput",
        svg: curves("sandboxes", "searches/s", true, &all),
        caption: format!(
            "At saturation, with Postgres and the harness on the same {cores} cores: {} searches per second and core. \
             Throughput grows with the sandboxes up to the number of cores. On Lambda each sandbox has its own \
             processor, so the database is the limit: a search takes {} of one of its cores, so a core serves \
             {} a second, whatever the number of sandboxes.",
            number(most / cores as f64),
            milliseconds(database),
            number(1e3 / database.max(1e-3)),
        ),
    })
}

pub(super) fn kinds(results: &Results) -> Option<Figure> {
    let of = |case: &&Case| case.load.rate.is_none() && !case.name.starts_with("saturation");
    let all: Vec<Bar> = results
        .warm
        .iter()
        .filter(of)
        .map(|case| case_bar(case, case.name.clone()))
        .collect();
    (!all.is_empty()).then(|| Figure {
        heading: "Kinds of searches, poolers",
        svg: bars("ms", &PARTS, &all),
        caption: "One sandbox, sequential searches, p50; the mark is p99. Filters match documents that were \
                  marked at random."
            .to_owned(),
    })
}

pub(super) fn quota(results: &Results) -> Option<Figure> {
    let bar = |share: &Share| Bar {
        label: format!("{} MB", share.megabytes),
        parts: vec![(0, share.took.p50)],
        text: format!("{}, ${:.2}", milliseconds(share.took.p50), share.dollars),
        ..Bar::default()
    };
    let all: Vec<Bar> = results.quota.iter().map(bar).collect();
    let least = results.quota.iter().map(|share| share.processor_ms);
    let (least, most) = least.fold((f64::INFINITY, 0.0), |(least, most), next| {
        (f64::min(least, next), f64::max(most, next))
    });
    (!all.is_empty()).then(|| Figure {
        heading: "Hybrid searches by a function's memory",
        svg: bars("ms", &[], &all),
        caption: format!(
            "One sandbox with Lambda's processor share, in periods of 20 ms, sequential searches, p50, and the dollars per \
             million. A search takes {} to {} of processor time.",
            milliseconds(least),
            milliseconds(most),
        ),
    })
}
