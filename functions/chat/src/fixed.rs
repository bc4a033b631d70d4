//! Fixed answers without the language model, in the question's language.

use std::iter;

use analysis::Language;

use crate::small_talk::{self, is_small_talk};

/// The answer if no document has one, in the language of the question, or else of the user's `earlier` messages, the last
/// first; in English if that of none is known.
pub(crate) fn without_sources<'t>(
    question: &'t str,
    earlier: impl Iterator<Item = &'t str>,
) -> &'static str {
    if is_small_talk(question) {
        welcome(small_talk::language(question).unwrap_or_else(|| first_known(earlier)))
    } else {
        nothing_found(first_known(iter::once(question).chain(earlier)))
    }
}

fn first_known<'t>(mut messages: impl Iterator<Item = &'t str>) -> Language {
    messages
        .find_map(Language::of_question)
        .unwrap_or(Language::English)
}

fn welcome(language: Language) -> &'static str {
    match language {
        Language::French => "Je réponds aux questions sur les documents : que voulez-vous savoir ?",
        Language::German => "Ich beantworte Fragen zu den Dokumenten: Was möchten Sie wissen?",
        Language::Spanish => "Respondo preguntas sobre los documentos: ¿qué quiere saber?",
        Language::Italian => "Rispondo a domande sui documenti: che cosa vuole sapere?",
        Language::Portuguese => "Respondo a perguntas sobre os documentos: o que quer saber?",
        Language::Dutch => "Ik beantwoord vragen over de documenten: wat wilt u weten?",
        Language::English => "I answer questions about the documents: what would you like to know?",
    }
}

fn nothing_found(language: Language) -> &'static str {
    match language {
        Language::French => "Je n’ai rien trouvé à ce sujet dans les documents.",
        Language::German => "Dazu habe ich in den Dokumenten nichts gefunden.",
        Language::Spanish => "No he encontrado nada sobre esto en los documentos.",
        Language::Italian => "Non ho trovato nulla a questo proposito nei documenti.",
        Language::Portuguese => "Não encontrei nada sobre isso nos documentos.",
        Language::Dutch => "Ik heb hierover niets in de documenten gevonden.",
        Language::English => "I found nothing about this in the documents.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_found_in_the_language_of_the_question() {
        for (question, beginning) in [
            ("Quand ferme la piscine ?", "Je n’ai"),
            ("quel tarif pour la cantine", "Je n’ai"),
            ("When does the swimming pool close?", "I found"),
            ("opening hours of the town hall", "I found"),
            ("Wann schließt das Schwimmbad?", "Dazu"),
            ("Öffnungszeiten der Bibliothek", "Dazu"),
            ("¿Cuándo cierra la piscina?", "No he"),
            ("horario de la biblioteca municipal", "No he"),
            ("Quando chiude la piscina?", "Non ho"),
            ("orari della biblioteca comunale", "Non ho"),
            ("Quando fecha a piscina?", "Não"),
            ("horário da biblioteca municipal", "Não"),
            ("Wanneer sluit het zwembad?", "Ik heb"),
            ("openingstijden van de bibliotheek", "Ik heb"),
        ] {
            let said = without_sources(question, iter::empty());
            assert!(said.starts_with(beginning), "{question}: {said}");
        }
    }

    #[test]
    fn small_talk_is_answered_in_its_language() {
        for (text, beginning) in [
            ("Bonjour !", "Je réponds"),
            ("merci beaucoup", "Je réponds"),
            ("Hi there, how are you?", "I answer"),
            ("Guten Morgen", "Ich beantworte"),
            ("¡Hola! ¿Qué tal?", "Respondo preguntas"),
            ("Grazie mille", "Rispondo"),
            ("Olá, tudo bem?", "Respondo a"),
            ("Dank je wel", "Ik beantwoord"),
        ] {
            let said = without_sources(text, iter::empty());
            assert!(said.starts_with(beginning), "{text}: {said}");
        }
        for question in ["Bonjour, quand ferme la piscine ?", "hi-fi stereo"] {
            let said = without_sources(question, iter::empty());
            assert!(!said.ends_with('?'), "{question}: {said}");
        }
    }

    #[test]
    fn a_text_without_a_language_is_answered_in_that_of_the_conversation() {
        let earlier = ["12", "Quand ferme la piscine ?", "When does it open?"];
        for (text, beginning) in [("2024 ?", "Je n’ai"), ("ok", "Je réponds")] {
            let said = without_sources(text, earlier.into_iter());
            assert!(said.starts_with(beginning), "{text}: {said}");
        }
    }

    #[test]
    fn english_is_the_last_resort() {
        for question in [
            "",
            "?",
            "12 34",
            "ZX-4471-B",
            "Во сколько закрывается бассейн?",
            "游泳池几点关门？",
            "متى يغلق المسبح؟",
        ] {
            assert!(
                without_sources(question, iter::empty()).starts_with("I found"),
                "{question}"
            );
        }
    }
}
