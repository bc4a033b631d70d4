//! Texts to batches whose memory is bounded.

/// Padded tokens of one inference. Larger batches run no faster on a few cores, and the memory of
/// an inference grows with them.
const BATCH_TOKENS: usize = 2_048;

/// The indices of texts with these lengths in bytes, in batches of at most [`BATCH_TOKENS`],
/// estimated from the longest text: no tokenizer makes fewer than one token of every four bytes of
/// running text on average. Texts of like length share a batch, so that little of it is padding.
pub(crate) fn of(lengths: &[usize], max_tokens: usize) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    order.sort_by_key(|&index| lengths[index]);
    let mut batches = Vec::new();
    let mut start = 0;
    for end in 1..=order.len() {
        let next_tokens = order.get(end).map_or(usize::MAX, |&index| {
            (lengths[index] / 4 + 2).min(max_tokens)
        });
        if next_tokens.saturating_mul(end - start + 1) > BATCH_TOKENS {
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
        let lengths: Vec<usize> = (0..100).rev().map(|n| n * 40).collect();
        let batches = of(&lengths, 512);
        let order: Vec<usize> = (0..100).rev().collect();
        assert_eq!(batches.concat(), order, "from the shortest to the longest");
        for batch in batches {
            let longest = lengths[*batch.last().expect("no batch is empty")] / 4 + 2;
            assert!(batch.len() == 1 || batch.len() * longest.min(512) <= BATCH_TOKENS);
        }
    }
}
