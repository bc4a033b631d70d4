//! The embeddings of recent questions, so that a question asked again costs no inference.

use std::{num::NonZeroUsize, sync::Mutex};

use document_store::Tenant;
use lru::LruCache;

/// The embeddings of the questions that were asked last. They live as long as the sandbox, and belong to its one model.
pub(crate) struct QuestionCache(Option<Mutex<LruCache<Asked, Vec<f32>>>>);

/// Who asked, and the question: an answer's time must not tell one tenant what another asked.
type Asked = (Tenant, String);

impl QuestionCache {
    /// Keeps at most `most` questions, or none.
    pub(crate) fn new(most: usize) -> Self {
        let most = NonZeroUsize::new(most);
        Self(most.map(|most| Mutex::new(LruCache::new(most))))
    }

    /// The embedding of a question, if it was asked before.
    pub(crate) fn get(&self, question: &Asked) -> Option<Vec<f32>> {
        let mut kept = self.0.as_ref()?.lock().ok()?;
        kept.get(question).cloned()
    }

    /// Keeps the embedding of a question, in place of the one that was not asked for the longest time.
    pub(crate) fn put(&self, question: Asked, embedding: Vec<f32>) {
        if let Some(Ok(mut kept)) = self.0.as_ref().map(Mutex::lock) {
            kept.put(question, embedding);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(question: &str) -> Asked {
        (Tenant::default(), question.to_owned())
    }

    #[test]
    fn the_question_that_was_not_asked_for_longest_makes_way() {
        let cache = QuestionCache::new(2);
        cache.put(asked("a"), vec![1.0]);
        cache.put(asked("b"), vec![2.0]);
        assert_eq!(cache.get(&asked("a")), Some(vec![1.0]));
        cache.put(asked("c"), vec![3.0]);
        assert_eq!(cache.get(&asked("b")), None);
        assert_eq!(cache.get(&asked("a")), Some(vec![1.0]));
        assert_eq!(cache.get(&asked("c")), Some(vec![3.0]));
    }

    #[test]
    fn a_tenant_does_not_meet_the_questions_of_another() {
        let cache = QuestionCache::new(2);
        cache.put(asked("a"), vec![1.0]);
        let tenant = Tenant::parse("acme", "tenant").expect("a name");
        assert_eq!(cache.get(&(tenant, "a".to_owned())), None);
    }

    #[test]
    fn no_question_is_kept_if_none_may_be() {
        let cache = QuestionCache::new(0);
        cache.put(asked("a"), vec![1.0]);
        assert_eq!(cache.get(&asked("a")), None);
    }
}
