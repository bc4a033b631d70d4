//! The cost of searches on Lambda.

use serde::Serialize;

/// Price of a gigabyte-second in dollars on x86, first tier, in us-east-1 and eu-west-1, as published in 2025.
/// <https://aws.amazon.com/lambda/pricing/>.
pub const DOLLARS_PER_GB_SECOND: f64 = 0.000_016_666_7;

/// Price of a million requests in dollars; same source.
pub const DOLLARS_PER_MILLION_REQUESTS: f64 = 0.20;

/// Memory size at which a function has one whole vCPU; smaller sizes have a proportional share.
/// <https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html>
pub const MEGABYTES_OF_ONE_CORE: f64 = 1_769.0;

/// The memory sizes to evaluate, in megabytes.
pub const SIZES: [u32; 6] = [128, 256, 512, 1024, 1769, 3008];

/// The assumed share of searches that need a cold start.
pub const COLD_SHARE: f64 = 0.01;

/// The billed time of a search, in milliseconds at one whole vCPU.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Billed {
    /// Processor time of a warm search, which grows with a smaller share.
    pub processor: f64,
    /// Database wait time of a warm search.
    pub waiting: f64,
    /// Init time. Billed too: always for custom runtimes, since August 2025 for Python's.
    /// <https://aws.amazon.com/blogs/compute/aws-lambda-standardizes-billing-for-init-phase/>
    pub init: f64,
    /// Peak memory in megabytes; smaller sizes fail.
    pub peak_mb: f64,
}

/// The price of a million searches at one memory size, in dollars.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Price {
    /// The size in megabytes.
    pub megabytes: u32,
    /// All warm.
    pub warm: f64,
    /// [`COLD_SHARE`] of them with Init.
    pub with_cold: f64,
}

impl Billed {
    /// The prices at the sizes that fit, smallest first.
    #[must_use]
    pub fn prices(self) -> Vec<Price> {
        let fits = SIZES
            .into_iter()
            .filter(|size| f64::from(*size) >= self.peak_mb);
        fits.map(|size| self.price(size)).collect()
    }

    fn price(self, megabytes: u32) -> Price {
        let slower = (MEGABYTES_OF_ONE_CORE / f64::from(megabytes)).max(1.0);
        let gigabytes = f64::from(megabytes) / 1024.0;
        // Lambda rounds up to whole milliseconds.
        let dollars = |ms: f64| ms.ceil() / 1e3 * gigabytes * DOLLARS_PER_GB_SECOND * 1e6;
        let warm = self.processor * slower + self.waiting;
        let cold = warm + self.init * slower;
        Price {
            megabytes,
            warm: dollars(warm) + DOLLARS_PER_MILLION_REQUESTS,
            with_cold: dollars(warm) * (1.0 - COLD_SHARE)
                + dollars(cold) * COLD_SHARE
                + DOLLARS_PER_MILLION_REQUESTS,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEARCH: Billed = Billed {
        processor: 4.0,
        waiting: 5.5,
        init: 100.0,
        peak_mb: 200.0,
    };

    #[test]
    fn a_whole_processor_is_billed_by_the_whole_millisecond() {
        let price = SEARCH.price(1769);
        // 9.5 ms are billed as 10: 10 ms * 1,769 / 1,024 GB * 0.0000166667 $ * a million = 0.2879 $.
        assert!((price.warm - (0.2879 + 0.20)).abs() < 1e-4, "{price:?}");
        // One search in a hundred is billed 110 ms instead of 10.
        assert!(
            (price.with_cold - (0.2879 * (0.99 + 0.11) + 0.20)).abs() < 1e-4,
            "{price:?}"
        );
    }

    #[test]
    fn a_smaller_processor_share_slows_only_the_processor_time() {
        let price = SEARCH.price(512);
        // 4 * 1,769 / 512 + 5.5 = 19.3 ms, billed as 20.
        assert!(
            (price.warm - (20e3 * 0.5 * DOLLARS_PER_GB_SECOND + 0.20)).abs() < 1e-9,
            "{price:?}"
        );
    }

    #[test]
    fn sizes_that_are_too_small_are_left_out() {
        let sizes: Vec<u32> = SEARCH
            .prices()
            .iter()
            .map(|price| price.megabytes)
            .collect();
        assert_eq!(sizes, [256, 512, 1024, 1769, 3008]);
    }
}
