//! Texts to batches whose memory is bounded.

/// Padded tokens of one inference. What a layer passes on then stays in a core's cache: of 512 tokens each takes
/// three quarters of the time that it takes of 2,048, and less of them is padding. Below 256, what each inference
/// costs whatever its size begins to show. So it is for multilingual-e5-small; a reranker's pairs are batched alike.
const BATCH_TOKENS: usize = 512;

/// The indices of texts with these numbers of tokens, in batches that have at most 512
/// when each text is filled up to the longest of its batch. Texts of like length share a batch, so that
/// little of it is padding.
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
