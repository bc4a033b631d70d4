//! Questions drawn from the corpus, the same in every run.

use anyhow::{Result, ensure};
use database::{Database, Statement};

/// Words per question: some 14 tokens of e5's tokenizer, as in real questions.
const WORDS: usize = 9;

/// Draws `count` questions, or as many as there are passages: words from the middle of passages chosen by the hash
/// of their ids.
pub(crate) async fn draw(database: &Database, count: usize) -> Result<Vec<String>> {
    let statement = Statement::read(
        "SELECT content FROM rappel.chunks ORDER BY md5(document_id || '/' || ordinal) LIMIT $1",
    )
    .bind(i64::try_from(count)?);
    let passages: Vec<(String,)> = database.fetch_all(statement).await?;
    ensure!(
        !passages.is_empty(),
        "the database has no passages to make questions from"
    );
    Ok(passages
        .iter()
        .map(|(passage,)| question(passage))
        .collect())
}

fn question(passage: &str) -> String {
    let words: Vec<&str> = passage.split_whitespace().collect();
    let start = words.len().saturating_sub(WORDS) / 2;
    let end = words.len().min(start + WORDS);
    // A passage without blanks, as in Chinese, is one word.
    words[start..end].join(" ").chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_the_middle_of_its_passage() {
        assert_eq!(question("one two"), "one two");
        let passage: Vec<String> = (0..29).map(|number| number.to_string()).collect();
        assert_eq!(question(&passage.join(" ")), "10 11 12 13 14 15 16 17 18");
    }
}
