//! The sections with functions: cold starts and warm searches.

use anyhow::Result;
use serde_json::json;
use url::Url;

use super::{Run, bar, spinner};
use crate::{
    cold::{self, PageCache},
    database::tls::TlsProxy,
    event,
    load::Arrivals,
    peer::Variant,
    process::evict,
    quota, raw,
    steps::{Files, Steps},
    warm::Warm,
};

impl Run<'_> {
    pub(super) async fn cold(&mut self) -> Result<()> {
        let server = Url::parse(&self.scratch.config.url)?;
        let encrypts = server.query_pairs().any(|(name, value)| {
            name == "sslmode" && (value == "require" || value.starts_with("verify"))
        });
        if encrypts {
            let why = "cold: skipped, the TLS proxy needs a server without TLS";
            self.results.notes.push(why.to_owned());
            return Ok(());
        }
        let host = server.host_str().unwrap_or("127.0.0.1").to_owned();
        let proxy = TlsProxy::before(host, server.port().unwrap_or(5432)).await?;
        let url = proxy.url(&self.scratch.config.url)?;
        let mut programs = vec![self.rappel()];
        programs.extend(self.peers(&[Variant::Index, Variant::Package, Variant::Exact]));
        let event = event::search(&json!({ "query": raw::QUESTION, "mode": "semantic" }));
        let runs = self.bench.plan.cold_runs;
        let progress = bar("cold starts", 2 * programs.len() * runs);
        for page_cache in [PageCache::Warm, PageCache::Evicted] {
            for program in &programs {
                let program = program.clone().with("DATABASE_URL", url.clone());
                let measured = cold::measure(
                    &program, page_cache, &proxy, &event, runs, &self.log, &progress,
                );
                self.results.cold.push(measured.await?);
            }
        }
        progress.finish_and_clear();
        self.steps(runs).await
    }

    async fn steps(&mut self, runs: usize) -> Result<()> {
        let spinner = spinner("the steps of a cold start");
        let (binaries, model) = (self.bench.binaries.clone(), self.bench.model.clone());
        let measure = move || -> Result<Vec<(PageCache, Steps)>> {
            let files = Files {
                program: binaries.join("bench-probe"),
                library: &model.library,
                model: &model.folder,
            };
            let read = [
                files.program.clone(),
                model.library.clone(),
                model.folder.clone(),
            ];
            let warm = Steps::measure(&files, runs, &|| Ok(()))?;
            let evicted = Steps::measure(&files, runs, &|| evict(&read))?;
            Ok(vec![(PageCache::Warm, warm), (PageCache::Evicted, evicted)])
        };
        self.results.steps = tokio::task::spawn_blocking(measure).await??;
        spinner.finish_and_clear();
        Ok(())
    }

    pub(super) async fn quota(&mut self) -> Result<()> {
        if let Some(why) = quota::obstacle() {
            let note =
                format!("quota: skipped, it needs a control group with a processor quota: {why}");
            self.results.notes.push(note);
            return Ok(());
        }
        let events: Vec<_> = self
            .questions
            .iter()
            .map(|question| event::search(&json!({ "query": question, "mode": "hybrid" })))
            .collect();
        let progress = bar("shares of a processor", quota::SIZES.len() * events.len());
        for megabytes in quota::SIZES {
            let rappel = self.rappel();
            let share = quota::measure(&rappel, megabytes, &events, &self.log, &progress);
            self.results.quota.push(share.await?);
        }
        progress.finish_and_clear();
        Ok(())
    }

    pub(super) async fn warm(&mut self) -> Result<()> {
        let rappel = self.rappel();
        let searches = self.questions.len();
        let progress = bar("warm searches", 0);
        let warm = Warm {
            questions: &self.questions,
            log: &self.log,
            progress: &progress,
        };
        progress.set_length(searches as u64);
        let mut programs = vec![rappel.clone()];
        programs.extend(self.peers(&[Variant::Index, Variant::Package]));
        // Once, to load the index into memory.
        warm.case(&rappel, "once", &json!({}), 1, Arrivals::Saturation)
            .await?;
        let database = self.scratch.open()?;
        self.results.in_turn = warm.in_turn(&programs, &self.embedder, &database).await?;
        database.close().await;
        let log = self.folder.path().join("acquire.log");
        self.results.in_turn.acquire = warm.acquire(&rappel, &log).await?;

        if let Some(exact) = self.peers(&[Variant::Exact]).first() {
            // Exact searches are slow: a tenth of the questions suffices.
            let few = Warm {
                questions: &self.questions[..searches.div_ceil(10)],
                ..warm
            };
            let arrivals = Arrivals::Saturation;
            let case = few
                .case(exact, "exact search", &json!({}), 1, arrivals)
                .await?;
            self.results.exact = Some(case);
        }
        let most = self.bench.plan.sandboxes;
        let mut cases = warm.loads(&rappel, most).await?;
        for peer in self.peers(&[Variant::Index]) {
            cases.extend(warm.loads(&peer, most).await?);
        }
        cases.extend(warm.kinds(&rappel).await?);
        let mut notes = Vec::new();
        cases.extend(warm.poolers(&rappel, &self.scratch, &mut notes).await?);
        progress.finish_and_clear();
        self.results.notes.extend(notes);
        self.results.warm = cases;
        Ok(())
    }
}
