use super::*;
use crate::{Guess, passage};

fn words_of(text: &str) -> Vec<String> {
    let words = words(&folded(text));
    words.into_iter().map(|word| word.text).collect()
}

#[test]
fn words_are_compared_without_case_accents_and_punctuation() {
    assert_eq!(
        words_of("« Clause » de non-concurrence, l’Été"),
        ["clause", "de", "non", "concurrence", "l", "ete"]
    );
    assert_eq!(words_of("C++, C# et .NET"), ["c++", "c#", "et", ".net"]);
    assert_eq!(words_of("1+1 a.b #tag + -"), ["1", "1", "a", "b", "tag"]);
    assert_eq!(words_of("東京 都"), ["東京", "都"]);
    assert_eq!(Phrase::of(" - … \"\" "), None);
}

#[test]
fn every_spelling_of_a_letter_is_in_its_class() {
    for (letter, spellings) in [('e', "eEéÈêËｅ"), ('σ', "σςΣ"), ('ي', "يىی"), ('5', "5５⁵")]
    {
        for spelling in spellings.chars() {
            assert!(SPELLINGS.letters[&letter].contains(&spelling), "{spelling}");
        }
    }
    for (pair, spellings) in [(('o', 'e'), "œŒ"), (('s', 's'), "ßẞ"), (('f', 'i'), "ﬁ")] {
        for spelling in spellings.chars() {
            assert!(SPELLINGS.pairs[&pair].contains(&spelling), "{spelling}");
        }
    }
}

/// A passage that has the phrase has one of the terms of each of its certain words, whatever language it is taken for and
/// whatever is around the phrase.
#[test]
fn passages_with_a_phrase_are_found_by_its_terms() {
    let texts = [
        "Le 12 janvier 2024, la digue de 20 mètres de haut a cédé devant la mer ; le bac fut vendu 30 euros.",
        "Les salariés dont la clause de non-concurrence est contestée saisissent le conseil de prud'hommes.",
        "L’employeur remet chaque mois un bulletin de paie ; la période d'essai n'est pas renouvelée sans accord écrit.",
        "Research organisations publish their measurements of organic compounds within twelve months.",
        "Die Kündigungsfristen für Arbeitsverhältnisse richten sich nach den Vorschriften des Gesetzbuches.",
        "Las condiciones generales de contratación fueron modificadas por las autoridades competentes.",
        "Il regolamento sulla protezione delle informazioni personali stabilisce obblighi dell'azienda.",
        "As informações pessoais recolhidas servem apenas para responder às solicitações dos utilizadores.",
        "De werkgever betaalt reiskosten terug wanneer werknemers verklaringen inleveren bij de administratie.",
        "Работники получают компенсацию расходов согласно внутреннему регламенту предприятия.",
        "Οι εργαζόμενοι δικαιούνται αποζημίωση σύμφωνα με τον κανονισμό της επιχείρησης.",
    ];
    for text in texts {
        let parts: Vec<&str> = text.split(' ').collect();
        for (first, last) in (0..parts.len())
            .flat_map(|first| (first..parts.len().min(first + 5)).map(move |last| (first, last)))
        {
            let quoted = parts[first..=last].join(" ");
            let Some(phrase) = Phrase::of(&quoted) else {
                continue;
            };
            for guess in Language::ALL
                .map(Guess::Sure)
                .into_iter()
                .chain([Guess::Other])
            {
                for around in [text.to_owned(), quoted.clone(), format!("12 {quoted} 3 %")] {
                    let found = passage("", &around, guess).frequencies;
                    for terms in &phrase.terms {
                        assert!(
                            found.iter().any(|(term, _)| terms.contains(term)),
                            "{quoted:?} in {around:?} by {guess:?}: {terms:?}"
                        );
                    }
                }
            }
        }
    }
}
