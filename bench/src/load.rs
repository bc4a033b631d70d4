//! Loads of searches on sandboxes: sequential, at a fixed rate, or at saturation.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use anyhow::Result;
use futures_util::future::try_join_all;
use hyper::body::Bytes;
use indicatif::ProgressBar;
use serde::Serialize;
use tokio::time::sleep;

use crate::{event::TimedResponse, sandbox::Sandbox, statistics::Summary};

/// How requests arrive.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Arrivals {
    /// Each sandbox gets its next search as soon as it is ready: maximum throughput.
    Saturation,
    /// A fixed number of searches per second, evenly spaced, whether or not earlier ones are answered.
    Rate(f64),
}

/// The result of a load.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Load {
    /// Number of sandboxes.
    pub sandboxes: usize,
    /// Searches per second that arrived; `null` for saturation.
    pub rate: Option<f64>,
    /// Searches per second that were answered.
    pub throughput: f64,
    /// Milliseconds from the time a search was due to its response.
    pub latency: Summary,
    /// Embedding time in milliseconds, as reported by the function.
    pub embed: Summary,
    /// Database time in milliseconds, as reported by the function.
    pub database: Summary,
    /// All other time inside the sandbox, in milliseconds.
    pub rest: Summary,
    /// Processor time per search, in milliseconds.
    pub processor_ms: f64,
}

/// The due times of requests at a fixed rate.
#[derive(Clone, Copy, Debug)]
struct Schedule {
    start: Instant,
    /// Seconds between requests; 0 for saturation.
    interval: f64,
}

impl Schedule {
    fn due(&self, number: usize) -> Instant {
        self.start + Duration::from_secs_f64(self.interval * number as f64)
    }
}

/// The start time of a request. One that found all sandboxes busy waits from its due time, which a loop that only
/// times its calls would omit (Tene, "How NOT to Measure Latency", 2013). Otherwise it starts when it was sent: a late
/// wake-up of our timer is not the function's fault.
fn beginning(due: Instant, free: Instant, sent: Instant) -> Instant {
    if free > due { due } else { sent }
}

/// Sends `count` searches, cycling through `events`, each to the first free sandbox.
pub(crate) async fn run(
    sandboxes: &mut [Sandbox],
    events: &[Bytes],
    arrivals: Arrivals,
    count: usize,
    progress: &ProgressBar,
) -> Result<Load> {
    let before = processor(sandboxes)?;
    let number = sandboxes.len();
    let next = AtomicUsize::new(0);
    let (schedule, rate) = match arrivals {
        Arrivals::Saturation => (0.0, None),
        Arrivals::Rate(rate) => (1.0 / rate, Some(rate)),
    };
    let schedule = Schedule {
        start: Instant::now(),
        interval: schedule,
    };
    let workers = sandboxes.iter_mut().map(|sandbox| {
        worker(
            sandbox,
            events,
            schedule,
            rate.is_some(),
            count,
            &next,
            progress,
        )
    });
    let outcomes = try_join_all(workers).await?.concat();
    let took = schedule.start.elapsed().as_secs_f64();
    let spent = processor(sandboxes)?.saturating_sub(before);
    let of = |part: fn(&(f64, TimedResponse)) -> f64| Summary::of(outcomes.iter().map(part));
    Ok(Load {
        sandboxes: number,
        rate,
        throughput: outcomes.len() as f64 / took,
        latency: of(|(latency, _)| *latency),
        embed: of(|(_, answer)| answer.embed),
        database: of(|(_, answer)| answer.database),
        rest: of(|(_, answer)| answer.rest()),
        processor_ms: spent.as_secs_f64() * 1e3 / outcomes.len().max(1) as f64,
    })
}

/// The work of one sandbox: latency and response of each search.
async fn worker(
    sandbox: &mut Sandbox,
    events: &[Bytes],
    schedule: Schedule,
    is_timed: bool,
    count: usize,
    next: &AtomicUsize,
    progress: &ProgressBar,
) -> Result<Vec<(f64, TimedResponse)>> {
    let mut outcomes = Vec::new();
    loop {
        sandbox.settle().await?;
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= count {
            return Ok(outcomes);
        }
        let (due, free) = (schedule.due(number), Instant::now());
        if is_timed && free < due {
            sleep(due - free).await;
        }
        let sent = Instant::now();
        let reply = sandbox
            .invoke(events[number % events.len()].clone())
            .await?;
        let answer = TimedResponse::read(&reply)?;
        let begun = if is_timed {
            beginning(due, free, sent)
        } else {
            sent
        };
        let latency = (sent + reply.took).saturating_duration_since(begun);
        outcomes.push((latency.as_secs_f64() * 1e3, answer));
        progress.inc(1);
    }
}

fn processor(sandboxes: &[Sandbox]) -> Result<Duration> {
    let times = sandboxes
        .iter()
        .map(|sandbox| Ok(sandbox.usage()?.processor));
    times.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Latencies in milliseconds of one server that takes `service` per request at a rate.
    fn simulated(rate: f64, service: f64, count: usize) -> Vec<f64> {
        let schedule = Schedule {
            start: Instant::now(),
            interval: 1.0 / rate,
        };
        let mut free = schedule.start;
        (0..count)
            .map(|number| {
                let due = schedule.due(number);
                // Our timer wakes a millisecond late.
                let sent = free.max(due + Duration::from_millis(1));
                let begun = beginning(due, free, sent);
                let done = sent + Duration::from_secs_f64(service / 1e3);
                free = done;
                done.duration_since(begun).as_secs_f64() * 1e3
            })
            .collect()
    }

    #[test]
    fn requests_are_evenly_spaced() {
        let schedule = Schedule {
            start: Instant::now(),
            interval: 1.0 / 200.0,
        };
        let offset = schedule.due(10).duration_since(schedule.start);
        assert!((offset.as_secs_f64() - 0.05).abs() < 1e-6, "{offset:?}");
    }

    #[test]
    fn a_server_that_keeps_up_shows_only_its_service_time() {
        let latencies = simulated(50.0, 10.0, 20);
        assert!(
            latencies
                .iter()
                .all(|latency| (latency - 10.0).abs() < 0.01),
            "{latencies:?}"
        );
    }

    #[test]
    fn queueing_time_is_not_omitted() {
        // 10 ms of work arrive every 5 ms: each request waits some 5 ms longer than the previous one.
        let latencies = simulated(200.0, 10.0, 100);
        let last = latencies.last().expect("there are 100");
        assert!((500.0..515.0).contains(last), "{last}");
    }
}
