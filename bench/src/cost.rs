//! What searches cost on Lambda.

use serde::Serialize;

/// Dollars of a gigabyte-second on x86, first tier, in us-east-1 and eu-west-1, as published in 2025.
/// <https://aws.amazon.com/lambda/pricing/>.
pub const DOLLARS_PER_GB_SECOND: f64 = 0.000_016_666_7;

/// Dollars of a million requests; same source.
pub const DOLLARS_PER_MILLION_REQUESTS: f64 = 0.20;

/// Megabytes at which a function has one whole processor; below, its share of one is in proportion.
/// <https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html>
pub const MEGABYTES_OF_ONE_CORE: f64 = 1_769.0;

/// Memory sizes, in megabytes, that are looked at.
pub const SIZES: [u32; 6] = [128, 256, 512, 1024, 1769, 3008];

/// Of a million searches, so many meet a sandbox that has to be started first.
pub const COLD_SHARE: f64 = 0.01;

/// A search as it is billed, in milliseconds at one whole processor.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Billed {
    /// Of a warm search, what needs the processor: it grows where the function has less of one.
    pub processor: f64,
    /// Of a warm search, what waits for the database.
    pub waiting: f64,
    /// Init, which is billed as well: always for a runtime of one's own, since August 2025 for Python's.
    /// <https://aws.amazon.com/blogs/compute/aws-lambda-standardizes-billing-for-init-phase/>
    pub init: f64,
    /// Peak memory in megabytes: a smaller size does not run.
    pub peak_mb: f64,
}

/// Dollars of a million searches at one memory size.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Price {
    /// The size in megabytes.
    pub megabytes: u32,
    /// All searches warm.
    pub warm: f64,
    /// [`COLD_SHARE`] of them with an Init.
    pub with_cold: f64,
}

impl Billed {
    /// The prices at the sizes that the function fits, the least first.
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
        // Lambda bills whole milliseconds.
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
    fn less_of_a_processor_takes_longer_but_does_not_make_the_database_slower() {
        let price = SEARCH.price(512);
        // 4 * 1,769 / 512 + 5.5 = 19.3 ms, billed as 20.
        assert!(
            (price.warm - (20e3 * 0.5 * DOLLARS_PER_GB_SECOND + 0.20)).abs() < 1e-9,
            "{price:?}"
        );
    }

    #[test]
    fn sizes_that_the_function_does_not_fit_are_left_out() {
        let sizes: Vec<u32> = SEARCH
            .prices()
            .iter()
            .map(|price| price.megabytes)
            .collect();
        assert_eq!(sizes, [256, 512, 1024, 1769, 3008]);
    }
}
