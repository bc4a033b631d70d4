//! Words that tell nothing about a subject, only the language they are of.
//!
//! The lists are short on purpose: longer ones found less in our measurements. They hold articles,
//! pronouns, prepositions, conjunctions, question words and auxiliaries, in lower case and with
//! apostrophes removed. French ones are listed with and without their accents, for people who type
//! none; but `thé`, `maïs` and `sûr` are found although `the`, `mais` and `sur` are stop words. Words
//! that are often nouns stay out: `été`, `avions`, `sommes`.

use std::{collections::HashSet, sync::LazyLock};

use super::Language;

/// Whether the word, in lower case and with its accents, is a stop word of the language.
pub(super) fn is_stop_word(word: &str, language: Language) -> bool {
    match language {
        Language::French => FRENCH.contains(word),
        Language::English => ENGLISH.contains(word),
    }
}

/// The one language that a word is a stop word of, if it tells one.
pub(super) fn told_by(word: &str) -> Option<Language> {
    let french = is_stop_word(word, Language::French);
    let english = is_stop_word(word, Language::English);
    match (french, english) {
        _ if NOUNS_ELSEWHERE.contains(&word) => None,
        (true, false) => Some(Language::French),
        (false, true) => Some(Language::English),
        _ => None,
    }
}

/// Stop words of one language that are nouns, verbs or names in the other: `car insurance` is not
/// French, nor `prix de l'or` English.
const NOUNS_ELSEWHERE: [&str; 10] = [
    "an", "as", "but", "car", "comment", "if", "or", "plus", "sera", "son",
];

static FRENCH: LazyLock<HashSet<&str>> = LazyLock::new(|| {
    "a afin ai aie aient ainsi alors apres après as au aucun aucune aujourdhui auquel aura aurait \
     auront aussi autre autres aux auxquelles auxquels avaient avait avant avec avez avoir avons \
     ayant ca car ce ceci cela celle celles celui ces cet cette ceux chaque chez ci combien comme \
     comment dans de depuis des desquelles desquels donc dont du duquel elle elles en encore \
     entre es est et etaient etais etait etant etes etre eu eut eux furent fut ici il ils je \
     jusque la laquelle le lequel les lesquelles lesquels leur leurs lors lorsque lui là ma mais \
     me meme memes mes moi moins mon même mêmes ne ni nos notre nous on ont ou où par parce pas \
     pendant peut peuvent plus plusieurs pour pourquoi puis puisque quand que quel quelle quelles \
     quelque quelques quels qui quoi sa sans se sera serait seront ses si sien soi soient soit \
     son sont sous suis sur ta te tel telle telles tels tes toi ton tous tout toute toutes tres \
     très tu un une vers via voici voila voilà vos votre vous y à ça étaient étais était étant \
     êtes être"
        .split(' ')
        .collect()
});

static ENGLISH: LazyLock<HashSet<&str>> = LazyLock::new(|| {
    "a about after all also am an and another any are aren as at be because been before being \
     between both but by can cannot cant could couldnt did didnt do does doesnt doing dont during \
     each either few for from further had has hasnt have havent having he her here hers herself \
     him himself his how i if in into is isnt it its itself just me might more most must my \
     myself neither no nor not of off on once only onto or other our ourselves out over own same \
     shall she should shouldnt since so some such than that the their theirs them themselves then \
     there these they this those through to too under until up upon us very was wasnt we were \
     werent what when where whether which while who whom whose why will with within without wont \
     would wouldnt yes yet you your yours yourself yourselves"
        .split(' ')
        .collect()
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accents_distinguish_stop_words_from_nouns() {
        for (word, language, expected) in [
            ("mais", Language::French, true),
            ("maïs", Language::French, false),
            ("sur", Language::French, true),
            ("sûr", Language::French, false),
            ("meme", Language::French, true),
            ("même", Language::French, true),
            ("été", Language::French, false),
            ("the", Language::English, true),
            ("thé", Language::English, false),
            ("car", Language::English, false),
        ] {
            assert_eq!(
                is_stop_word(word, language),
                expected,
                "{word} in {language:?}"
            );
        }
    }

    #[test]
    fn words_of_both_languages_tell_none() {
        for word in ["on", "a", "car", "or", "but", "contrat"] {
            assert_eq!(told_by(word), None, "{word}");
        }
        assert_eq!(told_by("quel"), Some(Language::French));
        assert_eq!(told_by("what"), Some(Language::English));
    }
}
