//! The sections recall, bulk, scaling, and the prices computed from the others.

use std::time::Duration;

use anyhow::Result;

use super::{Run, bar};
use crate::{bulk::Bulk, cold::PageCache, cost::Billed, recall, report, scaling::Scaling};

/// How often the corpus may be repeated to make a larger one.
const MOST_ROUNDS: i64 = 4;

/// A size that differs from the corpus by less than one part in this many means the corpus itself.
const NEARLY: u64 = 50;

impl Run<'_> {
    pub(super) async fn recall(&mut self) -> Result<()> {
        let plan = &self.bench.plan;
        let embeddings = self.embeddings(plan.truths)?;
        let progress = bar("recall", embeddings.len() * (plan.efforts.len() + 1));
        let database = self.scratch.open()?;
        let (truths, exact) = recall::truths(&database, embeddings, &progress).await?;
        self.results.recall_exact = exact;
        let model = &self.bench.manifest;
        for &effort in &plan.efforts {
            let measured = recall::measure(&database, model, &truths, effort, &progress).await?;
            self.results.recall.push(measured);
        }
        database.close().await;
        progress.finish_and_clear();
        Ok(())
    }

    pub(super) async fn bulk(&mut self) -> Result<()> {
        let bulk = Bulk {
            rappel: &self.bench.rappel,
            probe: &self.bench.binaries.join("bench-probe"),
            model: &self.bench.model,
            model_name: &self.bench.model_name,
            folder: self.folder.path(),
        };
        let progress = bar("imports", 2 * self.bench.plan.imports.len());
        let database = self.scratch.open()?;
        for &count in &self.bench.plan.imports {
            let import = bulk
                .measure(&database, &self.scratch, count, &progress)
                .await?;
            self.results.bulk.push(import);
        }
        database.close().await;
        progress.finish_and_clear();
        Ok(())
    }

    pub(super) async fn scaling(&mut self) -> Result<()> {
        let embeddings = self.embeddings(self.bench.plan.truths)?;
        let passages = self.results.setting.passages;
        let mut sizes = self.bench.plan.sizes.clone();
        if sizes.iter().all(|size| *size > MOST_ROUNDS * passages) {
            sizes = vec![
                passages.div_euclid(4).max(1),
                passages.div_euclid(2).max(1),
                passages,
                2 * passages,
            ];
        }
        for size in &mut sizes {
            if size.abs_diff(passages) <= passages.unsigned_abs() / NEARLY {
                *size = passages;
            }
        }
        // After a few repetitions, a synthetic corpus no longer represents a real one.
        sizes.retain(|size| *size <= MOST_ROUNDS * passages);
        sizes.sort_unstable();
        let progress = bar("sizes", sizes.len());
        progress.enable_steady_tick(Duration::from_millis(200));
        let scaling = Scaling {
            scratch: &self.scratch,
            model: &self.bench.manifest,
            dimensions: self.bench.manifest.dimensions,
            questions: &self.questions,
            embeddings: &embeddings,
            progress: &progress,
        };
        let (results, out) = (&mut self.results, &self.bench.out);
        // After each size: the next takes longer than all before it.
        let measured = |size| {
            results.scaling.push(size);
            report::write(out, results)
        };
        scaling.measure(&sizes, measured).await?;
        progress.finish_and_clear();
        Ok(())
    }

    /// The prices of every program with cold and warm results.
    pub(super) fn cost(&mut self) {
        self.results.cost.clear();
        for cold in &self.results.cold {
            let mut warm = self
                .results
                .warm
                .iter()
                .filter(|case| case.program == cold.program);
            let Some(case) = warm.next().filter(|_| cold.page_cache == PageCache::Warm) else {
                continue;
            };
            let processor = case.load.processor_ms;
            let billed = Billed {
                processor,
                waiting: (case.load.latency.p50 - processor).max(0.0),
                init: cold.ready.p50,
                peak_mb: cold.memory_mb.p50,
            };
            self.results
                .cost
                .push((cold.program.clone(), billed.prices()));
        }
    }
}
