//! The embeddings of recent questions, so that a question asked again costs no inference.

use std::{num::NonZeroUsize, sync::Mutex};

use lru::LruCache;

/// The embeddings of the questions that were asked last. They live as long as the sandbox, and belong to its one model.
pub(crate) struct QuestionCache(Option<Mutex<LruCache<String, Vec<f32>>>>);

impl QuestionCache {
    /// Keeps at most `most` questions, or none.
    pub(crate) fn new(most: usize) -> Self {
        let most = NonZeroUsize::new(most);
        Self(most.map(|most| Mutex::new(LruCache::new(most))))
    }

    /// The embedding of a question, if it was asked before.
    pub(crate) fn get(&self, question: &str) -> Option<Vec<f32>> {
        let mut kept = self.0.as_ref()?.lock().ok()?;
        kept.get(question).cloned()
    }

    /// Keeps the embedding of a question, in place of the one that was not asked for the longest time.
    pub(crate) fn put(&self, question: String, embedding: Vec<f32>) {
        if let Some(Ok(mut kept)) = self.0.as_ref().map(Mutex::lock) {
            kept.put(question, embedding);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_question_that_was_not_asked_for_longest_makes_way() {
        let cache = QuestionCache::new(2);
        cache.put("a".to_owned(), vec![1.0]);
        cache.put("b".to_owned(), vec![2.0]);
        assert_eq!(cache.get("a"), Some(vec![1.0]));
        cache.put("c".to_owned(), vec![3.0]);
        assert_eq!(cache.get("b"), None);
        assert_eq!(cache.get("a"), Some(vec![1.0]));
        assert_eq!(cache.get("c"), Some(vec![3.0]));
    }

    #[test]
    fn no_question_is_kept_if_none_may_be() {
        let cache = QuestionCache::new(0);
        cache.put("a".to_owned(), vec![1.0]);
        assert_eq!(cache.get("a"), None);
    }
}
