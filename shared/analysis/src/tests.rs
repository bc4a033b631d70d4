use std::collections::BTreeSet;

use super::*;

mod identifiers;

fn query(text: &str) -> Vec<String> {
    query_terms(text)
        .into_iter()
        .map(|asked| asked.term)
        .collect()
}

fn passage_of(text: &str) -> Vec<String> {
    let terms = passage("", text, Guess::of(text));
    terms
        .frequencies
        .into_iter()
        .map(|(term, _)| term)
        .collect()
}

/// The number of a question's words in a text.
fn found(question: &str, text: &str) -> (usize, usize) {
    let (words, terms) = (query_words(question), passage_of(text));
    let having = words
        .iter()
        .filter(|forms| forms.iter().any(|(form, _)| terms.contains(form)));
    (having.count(), words.len())
}

#[test]
fn terms_of_a_piece_are_of_one_word() {
    // Too short to tell its language, so that a word has the stems of several.
    let terms = query_terms("congés payés FR-2024/0173");
    let pieces: BTreeMap<i32, i32> = terms.iter().map(|it| (it.piece, it.word)).collect();
    assert!(terms.len() > pieces.len(), "{terms:?}");
    assert!(
        terms.iter().all(|it| pieces[&it.piece] == it.word),
        "{terms:?}"
    );
    let words: BTreeSet<i32> = terms.iter().map(|it| it.word).collect();
    assert!(pieces.len() > words.len() && words.len() > 2, "{terms:?}");
}

/// Every word of each question finds the text.
fn assert_finds(pairs: &[(&str, &str)]) {
    for (question, text) in pairs {
        let (having, all) = found(question, text);
        assert!(
            having == all && all > 0,
            "{:?} in {text}: {:?}",
            query_words(question),
            passage_of(text)
        );
    }
}

/// No word of any question finds the text.
fn assert_misses(pairs: &[(&str, &str)]) {
    for (question, text) in pairs {
        let (having, all) = found(question, text);
        assert!(
            having == 0 && all > 0,
            "{:?} in {text}: {:?}",
            query_words(question),
            passage_of(text)
        );
    }
}

/// All spellings find each other, but none of the others.
fn assert_same(writings: &[&str], others: &[&str]) {
    for one in writings {
        for same in writings {
            assert_finds(&[(one, &format!("Réf. {same}, à noter"))]);
        }
        for other in others {
            let whole = found(one, writings[0]);
            let partly = found(one, other);
            let shared: Vec<String> = query(one)
                .into_iter()
                .filter(|term| passage_of(other).contains(term))
                .collect();
            assert!(
                shared.len() < query(one).len(),
                "{one} is {other}: {shared:?}, {whole:?}, {partly:?}"
            );
        }
    }
}

#[test]
fn what_a_french_user_expects_to_find() {
    assert_finds(&[
        ("employes", "L’employé et l’employée"),
        ("salariée", "les salariés"),
        ("Quels travaux publics ?", "Les travaux publics"),
        ("journal", "les journaux"),
        ("generaux", "le général"),
        ("le règlement intérieur", "REGLEMENT INTERIEUR"),
        ("œuvre", "mis en oeuvre"),
        ("l'arc en ciel", "L'arc-en-ciel"),
        ("prudhommes", "conseil de prud’hommes"),
        ("le salarié", "un·e salarié·e"),
        ("qu'est-ce qu'une SARL ?", "La S.A.R.L. est une société."),
        ("article L110-1", "art.L.110-1 ; l’article L. 110-1 du code"),
        ("l 110-1", "l’article L. 110-1"),
        ("article 110-1", "l’article L. 110-1"),
        ("le R123-4", "R*123-4"),
        ("le délai du D. 8222-5-1", "délai, D8222-5-1"),
        ("la covid", "Covid-19"),
        ("la guerre de 1914", "Guerre 1914–1918"),
        ("12000 euros", "12 000 euros, 12\u{202f}000 euros"),
        ("le taux de 1,5 %", "taux : 1.5%"),
        ("Quel est le prix de l'or ?", "Le prix de l’or"),
        ("le thé", "les thés verts"),
        ("vitamine D", "La vitamine D"),
        ("le contrat SA", "Le contrat de la S.A. Dupont"),
    ]);
}

#[test]
fn what_an_english_user_expects_to_find() {
    assert_finds(&[
        (
            "What are the policies of the company?",
            "The company has a policy.",
        ),
        ("running", "He runs"),
        ("Parkinson disease", "Parkinson’s diseases"),
        (
            "How is it treated?",
            "the treatment and treating: he treats",
        ),
        ("car insurance", "The insurance of the car"),
        ("vitamin B12", "Vitamin B12"),
        ("Bell palsy", "Bell’s palsy is a weakness of the face."),
        ("Bell's palsy symptoms", "The symptoms of Bell's palsy"),
        ("Dell", "Dell's warranty"),
        ("UN", "The UN's budget"),
    ]);
}

#[test]
fn what_others_expect_to_find() {
    assert_finds(&[
        ("Wann öffnen die Häuser?", "Das Haus öffnet um acht."),
        ("Tuer", "Die Tür ist zu."),
        ("Oeffnung", "Die Öffnung des Tors"),
        ("las publicaciones", "La publicación de la ley"),
        ("publicacion", "La publicación de la ley"),
        ("le ordinanze", "L'ordinanza del sindaco è nell’albo"),
        ("albo", "L'ordinanza del sindaco è nell’albo"),
        ("inscrições", "A inscrição de alunos não é gratuita"),
        ("de vergunningen", "Een vergunning van de gemeente"),
        ("библиотека", "Часы работы библиотеки"),
        ("ΝΟΜΟΣ", "ο νόμος της χώρας"),
        ("مدرسه", "المدرسة الجديدة"),
        ("בית ספר", "בֵּית סֵפֶר"),
        ("かばん", "赤いかばんを買う"),
        ("東京", "東京都の天気"),
        ("한국어", "한국어 문장"),
        ("โรงเรียน", "นักเรียนไปโรงเรียนทุกวัน"),
        ("น้ำ", "เด็กดื่มน้ำทุกวัน"),
    ]);
    assert_misses(&[
        ("東京", "京都の東"),
        ("โรงเรียน", "รถไฟออกแล้ว"),
        ("ordinanze", "coordinare"),
    ]);
}

#[test]
fn capitals_make_acronyms_of_stop_words() {
    for (question, text) in [
        ("WHO", "The WHO advises"),
        ("IT", "the IT department is here"),
        ("UN", "what the UN has adopted"),
        ("OU", "le texte de l'OU et la suite"),
        ("DES", "die Norm DES und der Rest"),
    ] {
        assert_finds(&[(question, text)]);
    }
    assert_misses(&[("WHO", "the man who knew"), ("IT", "it is what it is")]);
    // A line in capitals cannot tell acronyms from words.
    assert_eq!(query("QUI EST LE MAIRE DU VILLAGE"), ["mair", "villag"]);
    assert_eq!(query("Qui est là ?"), Vec::<String>::new());
}

#[test]
fn a_question_and_a_list_of_unknown_language_find_each_other() {
    for (question, list) in [
        (
            "the bakeries and the pharmacies",
            "Pharmacies, bakeries, ferries.",
        ),
        ("les boulangeries du quartier", "Boulangeries, quartiers."),
        ("Wo sind die Apotheken?", "Apotheken, Schulen, Wartezeiten."),
        ("las farmacias de las ciudades", "Farmacias, ciudades."),
        ("le farmacie delle città", "Farmacie, città."),
    ] {
        assert_finds(&[(question, list)]);
    }
    assert_finds(&[
        (
            "UN policies",
            "These are the policies that the UN has for energy.",
        ),
        (
            "SI categories",
            "SI is taught with the categories that pupils meet.",
        ),
        (
            "horario biblioteca",
            "El horario de la biblioteca es de nueve a dos.",
        ),
        (
            "Preise Eintritt",
            "Die Preise für den Eintritt sind gestiegen.",
        ),
    ]);
}

#[test]
fn a_part_in_another_language_is_found_in_both() {
    let french = Guess::of_document(Some("fr"), "", "");
    let terms = passage("", "These are the companies that we know.", french);
    let has = |term: &str| terms.frequencies.iter().any(|(found, _)| found == term);
    assert!(has("compani") && has("compan") && !has("the"), "{terms:?}");
}

#[test]
fn a_passage_counts_occurrences_with_its_title_and_without_stop_words() {
    let passage = passage(
        "Le contrat",
        "Les contrats de l’employeur.",
        Guess::of("Les contrats de l’employeur."),
    );
    let expected = [("contrat".to_owned(), 2), ("employeur".to_owned(), 1)];
    assert_eq!(passage.frequencies, expected);
    assert_eq!(passage.length, 3);
}

#[test]
fn forms_of_a_word_do_not_lengthen_its_passage() {
    let length = |text: &str| passage("", text, Guess::of(text)).length;
    assert_eq!(
        length("Der Ort heißt 04 93 27 81 50"),
        length("Der Ort heißt Marseille")
    );
    assert_eq!(length("week-end"), length("week end"));
}

#[test]
fn a_text_without_words_has_no_terms() {
    for text in [
        "",
        " \n",
        "?!",
        "Qui est-ce ?",
        "€ %",
        "\0",
        "\u{200d}\u{fe0f}",
    ] {
        assert_eq!(query(text), Vec::<String>::new(), "{text:?}");
    }
    assert_eq!(passage("", "", Guess::of("")), Terms::default());
}

#[test]
fn truncated_terms_stay_distinct() {
    let (one, other) = ("é9".repeat(1000), format!("{}é8", "é9".repeat(999)));
    let asked = query(&one);
    assert_eq!(asked[0].chars().count(), MAX_TERM_CHARACTERS);
    assert_eq!(asked, passage_of(&one));
    assert_ne!(asked, query(&other));
}

#[test]
fn frequencies_stay_at_their_maximum() {
    let passage = passage("", &"contrat ".repeat(70_000), Guess::Other);
    assert_eq!(passage.frequencies, [("contrat".to_owned(), i16::MAX)]);
    assert_eq!(passage.length, 70_000);
}

#[test]
fn composed_and_decomposed_text_have_the_same_terms() {
    use unicode_normalization::UnicodeNormalization;
    for text in [
        "Éric a été élu à Nîmes",
        "Größe der Tür",
        "Ελλάδα ΝΟΜΟΣ",
        "한국어 문장",
        "이메일",
        "ガギグゲゴ",
        "мой край",
        "ở Việt Nam",
        "हिन्दी",
    ] {
        let (composed, decomposed): (String, String) = (text.nfc().collect(), text.nfd().collect());
        assert_eq!(query(&composed), query(&decomposed), "{text}");
        assert_eq!(passage_of(&composed), passage_of(&decomposed), "{text}");
    }
}

/// Strings of characters with a meaning in the analysis, and any others.
#[test]
fn any_text_has_terms_that_are_neither_empty_nor_too_long() {
    let alphabet: Vec<char> = "aZvé0129.,-+/'’(): \n\t@_#&·&€$ßœİ\u{301}\u{200c}\u{200d}\u{ad}\u{202e}کها東ひカกข๑\u{e31}한ᄒ\u{1161}𝟘🏳\u{fe0f}\u{e0061}ǅŉﬁ№½Ⅷ٣\0"
        .chars()
        .collect();
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..20_000 {
        let text: String = (0..random.usize(0..24))
            .map(|_| match random.u8(0..8) {
                0 => random.char(..),
                _ => alphabet[random.usize(0..alphabet.len())],
            })
            .collect();
        let is_sound = |term: &String| {
            !term.is_empty()
                && term.chars().count() <= MAX_TERM_CHARACTERS
                && !term.contains(char::is_whitespace)
        };
        let (asked, indexed) = (query(&text), passage_of(&text));
        assert!(
            asked.iter().chain(&indexed).all(is_sound),
            "{text:?}: {asked:?} {indexed:?}"
        );
    }
}

/// Each word of a long row must not read the rest of it again: that took hours for 100 kB.
#[test]
fn long_rows_of_numbers_are_read_in_linear_time() {
    for number in [
        "1 ", "0.1 ", "01 ", "555 ", "1/", "1-", "2024-", "v1_", "12x", "12 x ", "a-", "a-\n",
        "A ", "l'", "a.",
    ] {
        let row = number.repeat(160_000 / number.len());
        std::hint::black_box(passage_of(&row));
    }
}

/// A change of these terms changes all stored ones: raise [`VERSION`] with it.
#[test]
fn the_version_names_these_terms() {
    let texts = [
        "Le salarié respecte le préavis de l'article L. 4417-12 avant le 31/01/2024.",
        "The WHO advises v6.2.8 of ZX-4471-B at +33 1 99 00 12 34 for 1 234,56 €.",
        "Das Gemüse kostet 16 Euro; el plazo es de 3 días; la città è nell'elenco.",
        "明日の天気 กุญแจ المكتبة библиотеки rapport_final.pdf week-end C++",
        "Bell's palsy: 20 A, 60 x 40 cm at 9:00, plan_v2_2024-01-31.pdf, 0199001234 7/7, -12,50 EUR.",
    ];
    let terms = texts.map(|text| passage_of(text).join(" ")).join("\n");
    let hash = terms.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    assert_eq!((VERSION, hash), (3, 1_279_176_891_564_015_065), "{terms}");
}
