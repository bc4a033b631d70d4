//! Fixed answers without the language model, in the question's language.

use analysis::Language;

/// The answer if no document has one; in English if the question's language is unknown or unsupported.
pub(crate) fn without_sources(question: &str) -> &'static str {
    if let Some(language) = small_talk(question) {
        return welcome(language);
    }
    nothing_found(Language::of_question(question).unwrap_or(Language::English))
}

/// The words of greetings, thanks and farewells, which alone mean nothing else.
const SMALL_TALK: [(Language, &str); 7] = [
    (
        Language::French,
        "bonjour bonsoir salut coucou merci beaucoup bien mille à tous toutes ça ca va comment vas tu allez vous au revoir \
         bonne journée soirée nuit bientôt",
    ),
    (
        Language::English,
        "hello hi hey good morning afternoon evening night there everyone thanks thank you very much so a lot how are \
         bye goodbye",
    ),
    (
        Language::German,
        "hallo guten tag morgen abend gute nacht moin servus danke vielen dank schön sehr wie geht es dir ihnen tschüss \
         auf wiedersehen",
    ),
    (
        Language::Spanish,
        "hola buenos días buenas tardes noches gracias muchas mil qué tal cómo estás está adiós hasta luego",
    ),
    (
        Language::Italian,
        "ciao buongiorno buonasera salve grazie mille molte come stai sta va arrivederci buona giornata serata",
    ),
    (
        Language::Portuguese,
        "olá oi bom dia boa tarde noite obrigado obrigada muito tudo bem como vai está tchau adeus até logo",
    ),
    (
        Language::Dutch,
        "hoi hallo goedemorgen goedemiddag goedenavond dag dank je u wel bedankt hartelijk hoe gaat het met tot ziens",
    ),
];

/// The language of a text that is only small talk.
fn small_talk(text: &str) -> Option<Language> {
    let text = text.to_lowercase();
    let words = || {
        let words = text.split(|c: char| !c.is_alphanumeric());
        words.filter(|word| !word.is_empty())
    };
    words().next()?;
    let said_with = |known: &str| words().all(|word| known.split(' ').any(|known| known == word));
    let spoken = SMALL_TALK.iter().find(|(_, known)| said_with(known))?;
    Some(spoken.0)
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
            let said = without_sources(question);
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
            let said = without_sources(text);
            assert!(said.starts_with(beginning), "{text}: {said}");
        }
        for question in ["Bonjour, quand ferme la piscine ?", "hi-fi stereo"] {
            let said = without_sources(question);
            assert!(!said.ends_with('?'), "{question}: {said}");
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
                without_sources(question).starts_with("I found"),
                "{question}"
            );
        }
    }
}
