//! Greetings, thanks and farewells, which no document answers.

use analysis::Language;

/// What is said in a language, in lower case without accents; phrases are separated by commas.
struct Said {
    language: Language,
    /// Greetings and farewells, which alone mean nothing else.
    greetings: &'static str,
    /// Thanks, which a name may follow.
    thanks: &'static str,
    /// What means something of its own, unless it is said beside these: `nuit` is a subject, `bonne nuit` is none.
    beside: &'static str,
}

/// What is said in every language.
const OK: &str = "ok,okay";

const SAID: [Said; 7] = [
    Said {
        language: Language::English,
        greetings: "hello,hi,hey,good morning,good afternoon,good evening,good night,how are you,how are you doing,\
                    how do you do,what s up,whats up,nice to meet you,bye,goodbye,good bye,see you,have a nice day,\
                    have a good day",
        thanks: "thanks,thank you,thx,many thanks,cheers",
        beside: "there,all,everyone,everybody,team,sir,madam,again,bye,today,later,soon,very much,so much,a lot,\
                 a million,in advance,for your help,for the help,for your answer,for the answer,for that,perfect,great,\
                 super,cool,morning,and,i m fine",
    },
    Said {
        language: Language::French,
        greetings: "bonjour,bonsoir,salut,coucou,ca va,comment ca va,comment vas tu,comment allez vous,tu vas bien,\
                    vous allez bien,quoi de neuf,enchante,au revoir,a bientot,a plus tard,a demain,bonne journee,\
                    bonne soiree,bonne nuit,d accord",
        thanks: "merci",
        beside: "beaucoup,bien,infiniment,mille fois,encore,a tous,a toutes,a vous,a toi,tous,toutes,et,monsieur,madame,\
                 mesdames,messieurs,d avance,par avance,pour tout,pour votre aide,pour ton aide,pour l aide,\
                 pour votre reponse,pour ta reponse,pour la reponse,pour ces informations,super,parfait,genial,non,c est tout",
    },
    Said {
        language: Language::German,
        greetings: "hallo,guten tag,guten morgen,guten abend,gute nacht,moin,servus,gruss gott,wie geht es,\
                    wie geht s,wie gehts,tschuss,auf wiedersehen,bis bald,bis spater,schonen tag,schonen abend",
        thanks: "danke,dankeschon,vielen dank,besten dank,herzlichen dank,danke schon,danke sehr",
        beside: "dir,ihnen,euch,zusammen,alle,herr,frau,sehr,schon,vielmals,noch,nochmals,im voraus,fur alles,\
                 fur die hilfe,fur ihre hilfe,fur deine hilfe,fur die antwort,super,perfekt,prima,alles klar,und",
    },
    Said {
        language: Language::Spanish,
        greetings: "hola,buenas,buenos dias,buen dia,buenas tardes,buenas noches,que tal,como estas,como esta,adios,\
                    hasta luego,hasta pronto,hasta manana,chao",
        thanks: "gracias,muchas gracias,mil gracias,muchisimas gracias",
        beside: "usted,a todos,todos,senor,senora,de nuevo,por todo,por la ayuda,por su ayuda,por tu ayuda,\
                 por la respuesta,de antemano,perfecto,genial,vale,y",
    },
    Said {
        language: Language::Italian,
        greetings: "ciao,buongiorno,buonasera,buona sera,salve,come stai,come sta,come va,arrivederci,a presto,\
                    buona giornata,buona serata,buonanotte,buona notte",
        thanks: "grazie,molte grazie,tante grazie,grazie mille",
        beside: "a tutti,tutti,signore,signora,mille,tante,molto,ancora,di tutto,per l aiuto,per il tuo aiuto,\
                 per la risposta,in anticipo,perfetto,e",
    },
    Said {
        language: Language::Portuguese,
        greetings: "ola,oi,bom dia,boa tarde,boa noite,tudo bem,como vai,como esta,tchau,adeus,ate logo,ate breve,\
                    ate amanha",
        thanks: "obrigado,obrigada,muito obrigado,muito obrigada",
        beside: "voce,a todos,todos,senhor,senhora,mais uma vez,por tudo,pela ajuda,pela resposta,pela sua ajuda,\
                 perfeito,otimo,e",
    },
    Said {
        language: Language::Dutch,
        greetings: "hoi,hallo,goedemorgen,goedemiddag,goedenavond,goedendag,goede morgen,goede middag,goede avond,\
                    hoe gaat het,tot ziens,doei,fijne dag,fijne avond",
        thanks: "bedankt,dank je,dank u,dankjewel,dankuwel,dank je wel,dank u wel,hartelijk dank,hartelijk bedankt",
        beside: "met je,met u,allemaal,meneer,mevrouw,wel,zeer,nogmaals,voor alles,voor de hulp,voor je hulp,\
                 voor uw hulp,voor het antwoord,alvast,dag,perfect,super,prima,en",
    },
];

/// Whether no document can answer a message: it is small talk, or has neither letters nor digits.
pub(crate) fn is_no_question(text: &str) -> bool {
    !text.contains(char::is_alphanumeric) || is_small_talk(text)
}

/// Whether a text is only small talk.
pub(crate) fn is_small_talk(text: &str) -> bool {
    let words = words(text);
    SAID.iter().any(|said| said.is_all_of(&words))
}

/// The language of small talk; `None` if it is said alike in all.
pub(crate) fn language(text: &str) -> Option<Language> {
    let words = words(text);
    let mut fitting = SAID.iter().filter(|said| said.is_all_of(&words));
    let first = fitting.next()?;
    (fitting.count() + 1 < SAID.len()).then_some(first.language)
}

/// A word of a text.
struct Word {
    /// In lower case without accents.
    bare: String,
    is_capitalised: bool,
}

fn words(text: &str) -> Vec<Word> {
    // An accent may be a character of its own.
    let is_letter = |c: char| c.is_alphanumeric() || matches!(c, '\u{300}'..='\u{36f}');
    let words = text.split(|c: char| !is_letter(c));
    let words = words.filter(|word| !word.is_empty());
    words
        .map(|word| Word {
            bare: analysis::bare(word),
            is_capitalised: word.starts_with(char::is_uppercase),
        })
        .collect()
}

impl Said {
    fn is_all_of(&self, words: &[Word]) -> bool {
        let (mut at, mut is_told, mut is_thanked) = (0, false, false);
        while at < words.len() {
            let rest = &words[at..];
            let greeted = beginning(self.greetings, rest).max(beginning(OK, rest));
            let thanked = beginning(self.thanks, rest);
            let step = greeted.max(thanked).max(beginning(self.beside, rest));
            if step == 0 {
                return is_thanked && self.is_named(words, at);
            }
            is_told |= greeted.max(thanked) > 0;
            is_thanked |= thanked > 0;
            at += step;
        }
        is_told
    }

    /// Whether what follows thanks is a name. In `Thank You Letters` it is none: each word has a capital.
    fn is_named(&self, words: &[Word], at: usize) -> bool {
        let (said, rest) = words.split_at(at);
        let is_title = self.language != Language::German
            && said.iter().skip(1).any(|word| word.is_capitalised);
        matches!(rest, [name] if name.is_capitalised) && !is_title
    }
}

/// The number of words of the longest of these phrases that the words begin with.
fn beginning(phrases: &str, words: &[Word]) -> usize {
    let begins = |phrase: &str| {
        let said = phrase.split(' ');
        let count = said.clone().count();
        let is_said = count <= words.len() && said.zip(words).all(|(one, word)| one == word.bare);
        if is_said { count } else { 0 }
    };
    phrases.split(',').map(begins).max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_talk_is_told_in_its_language() {
        for (text, expected) in [
            ("Bonjour !", Some(Language::French)),
            ("bonjour à tous", Some(Language::French)),
            ("merci beaucoup", Some(Language::French)),
            ("Merci, Paul !", Some(Language::French)),
            ("MERCI", Some(Language::French)),
            ("Ca va ?", Some(Language::French)),
            ("c\u{327}a va ?", Some(Language::French)),
            ("Ok, merci pour votre aide.", Some(Language::French)),
            ("D’accord", Some(Language::French)),
            ("Hi there, how are you?", Some(Language::English)),
            ("Thanks Anna!", Some(Language::English)),
            ("thank you so much", Some(Language::English)),
            ("Guten Morgen", Some(Language::German)),
            ("Vielen Dank, Anna", Some(Language::German)),
            ("Tschüß", Some(Language::German)),
            ("¡Hola! ¿Qué tal?", Some(Language::Spanish)),
            ("Grazie mille", Some(Language::Italian)),
            ("Olá, tudo bem?", Some(Language::Portuguese)),
            ("Dank je wel", Some(Language::Dutch)),
            ("ok", None),
            ("OK 👍", None),
        ] {
            assert!(is_small_talk(text), "{text}");
            assert_eq!(language(text), expected, "{text}");
        }
    }

    #[test]
    fn a_short_question_is_none() {
        for question in [
            "Bonjour, quand ferme la piscine ?",
            "Nuit",
            "morgen",
            "mille",
            "there",
            "a lot",
            "hi-fi stereo",
            "Hello World",
            "merci de fermer la porte",
            "Thank You Letters",
            "comment aller à Paris",
            "oui",
            "12",
            "",
        ] {
            assert!(!is_small_talk(question), "{question}");
        }
        assert!(is_no_question("?") && is_no_question("👋") && !is_no_question("12"));
    }
}
