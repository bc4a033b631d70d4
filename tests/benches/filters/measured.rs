//! What a row of the output is made of.

/// The times of searches, and what they found.
pub(crate) struct Measured {
    pub(crate) times: Vec<f64>,
    pub(crate) fewest: usize,
    pub(crate) found: usize,
    pub(crate) wanted: usize,
}

impl Default for Measured {
    fn default() -> Self {
        Self {
            times: Vec::new(),
            fewest: usize::MAX,
            found: 0,
            wanted: 0,
        }
    }
}

impl Measured {
    /// The least, the median and the 95th percentile of the times, the fewest hits, and recall.
    pub(crate) fn line(mut self) -> String {
        self.times.sort_by(f64::total_cmp);
        let at = |share: usize| self.times[self.times.len() * share / 100];
        let recall = match self.wanted {
            0 => String::new(),
            wanted => format!("{:.3}", self.found as f64 / wanted as f64),
        };
        let (least, median, late) = (self.times[0], at(50), at(95));
        format!(
            "{least:8.1} {median:7.1} {late:7.1}  {:4}  {recall}",
            self.fewest
        )
    }
}
