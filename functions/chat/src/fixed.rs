//! What is said without asking the language model, in the question's language.

use analysis::Language;

/// That no document has the answer; in English if the question does not tell its language or it is another.
pub(crate) fn nothing_found(question: &str) -> &'static str {
    match Language::of_question(question) {
        Some(Language::French) => "Je n’ai rien trouvé à ce sujet dans les documents.",
        Some(Language::German) => "Dazu habe ich in den Dokumenten nichts gefunden.",
        Some(Language::Spanish) => "No he encontrado nada sobre esto en los documentos.",
        Some(Language::Italian) => "Non ho trovato nulla a questo proposito nei documenti.",
        Some(Language::Portuguese) => "Não encontrei nada sobre isso nos documentos.",
        Some(Language::Dutch) => "Ik heb hierover niets in de documenten gevonden.",
        Some(Language::English) | None => "I found nothing about this in the documents.",
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
            let said = nothing_found(question);
            assert!(said.starts_with(beginning), "{question}: {said}");
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
            assert!(nothing_found(question).starts_with("I found"), "{question}");
        }
    }
}
