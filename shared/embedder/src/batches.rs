//! Batches of texts with bounded memory.

/// Padded tokens of one inference. At 512 a layer's output fits a core's cache: a token takes three quarters of its
/// time at 2,048, and there is less padding. Below 256, the fixed cost of an inference shows. Measured for
/// multilingual-e5-small; a reranker's pairs use the same batches.
const BATCH_TOKENS: usize = 512;

/// Batches the indices of texts with these numbers of tokens: at most 512 per batch when each text is padded to the
/// longest one. Texts of similar length share a batch, for little padding.
#[must_use]
pub fn of(tokens: &[usize]) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..tokens.len()).collect();
    order.sort_by_key(|&index| tokens[index]);
    let mut batches = Vec::new();
    let mut start = 0;
    for end in 1..=order.len() {
        let longest = order.get(end).map_or(usize::MAX, |&index| tokens[index]);
        if longest.saturating_mul(end - start + 1) > BATCH_TOKENS {
            batches.push(order[start..end].to_vec());
            start = end;
        }
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_keep_every_text_once_and_their_size_bounded() {
        let tokens: Vec<usize> = (0..100).rev().map(|n| n * 5).collect();
        let batches = of(&tokens);
        let order: Vec<usize> = (0..100).rev().collect();
        assert_eq!(batches.concat(), order, "from the shortest to the longest");
        for batch in batches {
            let longest = tokens[*batch.last().expect("no batch is empty")];
            assert!(batch.len() == 1 || batch.len() * longest <= BATCH_TOKENS);
        }
    }
}
