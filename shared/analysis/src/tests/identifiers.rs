//! Identifiers, numbers and compounds: found however they are written.

use super::*;

#[test]
fn an_identifier_is_found_however_it_is_written() {
    assert_same(
        &["v2.14.3", "2.14.3", "V2.14.3"],
        &["v2.14.0", "2.4.13", "v12.14.3", "2.14.30"],
    );
    assert_same(&["Nimbus7.2", "nimbus 7.2"], &["Nimbus7.1", "Nimbus2.7"]);
    assert_same(
        &["QT-5310-K", "QT5310K", "qt5310k", "QT 5310 K", "qt-5310-k"],
        &["QT-5310-L", "QT-5130-K", "TQ-5310-K"],
    );
    assert_same(&["16 Go", "16Go", "16 Gb", "16GB"], &["8 Go", "160 Go"]);
    assert_same(&["3,5 m", "3.5m", "3,5 mètres", "3,50 m"], &["35 m", "3 m"]);
    assert_same(
        &[
            "8 431,70 €",
            "8431,70",
            "8,431.70",
            "8.431,70 €",
            "8'431.70",
            "8431,7 €",
        ],
        &["8 431,07 €", "431,70 €", "84 317,00 €"],
    );
    assert_same(
        &["12 000", "12000", "12.000", "12,000", "12\u{a0}000"],
        &["12", "1 200"],
    );
    assert_same(
        &[
            "07/03/1998",
            "7 mars 1998",
            "1998-03-07",
            "07.03.1998",
            "March 7, 1998",
            "7. März 1998",
            "19980307",
        ],
        &["08/03/1998", "7 mai 1998"],
    );
    assert_same(
        &[
            "20230115_plan_de_masse.pdf",
            "20230115_Plan_de_Masse",
            "20230115-plan-de-masse.pdf",
        ],
        &["20230115_plan_de_coupe.pdf"],
    );
    assert_same(
        &["GB29 NWBK 6016 1331 9268 19", "GB29NWBK60161331926819"],
        &["GB29 NWBK 6016 1331 9268 18"],
    );
    assert_same(
        &["978-2-07-036822-8", "9782070368228"],
        &["978-2-07-036822-9"],
    );
    assert_same(&["SW1A 1AA", "sw1a1aa"], &["SW1A 2AA"]);
    assert_same(&["R&D", "R & D"], &["R", "D"]);
    assert_same(
        &["anne.roy@mairie.example", "Anne.Roy@mairie.example"],
        &["anne.ray@mairie.example"],
    );
    assert_same(
        &[
            "https://www.mairie.example/cartes/",
            "http://mairie.example/cartes",
        ],
        &["https://mairie.example/plans"],
    );
    assert_same(&["C++"], &["C", "C#"]);
    assert_same(&["C#", "c#"], &["C", "C++", "F#"]);
    assert_same(&[".NET", ".net"], &["net"]);
    assert_same(&["Node.js", "nodejs", "node.js"], &["Node"]);
    assert_same(&["14h30", "14 h 30", "14:30"], &["14h45"]);
}

#[test]
fn numbers_find_each_other_with_any_unit_and_currency() {
    assert_same(
        &["2 To", "2To", "2 TB", "2 téraoctets"],
        &["20 To", "2,5 To"],
    );
    assert_same(&["20A", "20 A", "20 ampères"], &["16 A", "200 A"]);
    assert_same(&["§ 34a", "34a"], &["§ 34", "34 b"]);
    assert_same(&["12A-4471-B", "12A4471B", "12a4471b"], &["12B-4471-A"]);
    assert_same(&["0x1a"], &["0x1", "0x1b"]);
    assert_same(&["10ft", "10 ft", "10 feet"], &["100 ft"]);
    assert_same(&["40µg", "40 µg", "40 mcg"], &["4 µg"]);
    assert_same(&["5 mA", "5mA"], &["50 mA"]);
    assert_same(&["12 kN", "12kN"], &["2 kN"]);
    assert_same(&["9am", "9 am", "9AM"], &["8am"]);
    assert_same(&["9h", "9 h", "09h00", "9h00", "09:00"], &["10h", "9h30"]);
    assert_same(&["9h30", "09h30", "09:30", "9 h 30"], &["9h45", "19h30"]);
    assert_same(
        &["60x40", "60 x 40", "60×40", "60 × 40", "60x40cm"],
        &["60x45", "40x60"],
    );
    let shares = |one: &str, other: &str| {
        passage_of(other)
            .iter()
            .any(|term| query(one).contains(term))
    };
    for (one, other) in [
        ("1250 €", "Total: 1250.00 EUR"),
        ("1250.00 EUR", "1 250 €"),
        ("1 250,00 euros", "EUR 1,250.00"),
        ("1250.00 USD", "$1,250"),
        ("1250 dollars", "USD 1250.00"),
    ] {
        assert!(
            shares(one, other),
            "{:?} in {:?}",
            query(one),
            passage_of(other)
        );
    }
    assert_finds(&[
        ("12,50 €", "un écart de -12,50 €"),
        ("2,5 %", "le chiffre d’affaires a reculé de -2,5 %"),
    ]);
}

#[test]
fn versions_and_dates_are_found_within_names() {
    assert_same(&["2024.3.1", "v2024.3.1"], &["2024.3.2"]);
    assert_finds(&[
        ("v2", "cahier_des_charges_v2.pdf"),
        ("cahier des charges v2", "cahier_des_charges_v2.pdf"),
        ("version 2", "la spécification v2"),
        ("v2", "la version 2 du cahier"),
        ("2024-01-31", "2024-01-31_rapport.pdf"),
        ("31/01/2024", "backup-2024-01-31.tar.gz"),
        ("17 juin 2025", "compte-rendu-2025-06-17.pdf"),
        ("2025-01-31", "CR_CODIR_2025-01-31.pdf"),
        ("2024-01-31", "started at 2024-01-31T10:00:00Z"),
        ("31 janvier 2024", "releve_2024_01_31.csv"),
    ]);
    assert_misses(&[("v3", "cahier_des_charges_v2.pdf")]);
}

#[test]
fn parts_of_an_identifier_find_it() {
    assert_finds(&[
        ("plan de masse", "20230115_plan_de_masse.pdf"),
        ("20230115", "20230115_plan_de_masse.pdf"),
        ("5310", "QT-5310-K"),
        ("QT-5310", "QT-5310-K"),
        ("mairie.example", "Écrire à anne.roy@mairie.example, merci"),
        ("anne roy", "Écrire à anne.roy@mairie.example, merci"),
        ("nimbus", "Le Nimbus7.2 du service"),
        ("novembre 1998", "le 02/11/1998 et novembre"),
        ("1998", "le 02/11/1998"),
        ("64 Go", "Mémoire (Go) : 64"),
        ("Java17", "Java 17"),
        ("Java 8", "Java8"),
    ]);
}

#[test]
fn a_telephone_number_is_found_however_it_is_written() {
    assert_same(
        &[
            "04 93 27 81 50",
            "04.93.27.81.50",
            "04-93-27-81-50",
            "0493278150",
            "+33 4 93 27 81 50",
            "+33493278150",
            "0033 4 93 27 81 50",
            "+33 (0)4 93 27 81 50",
        ],
        &["04 93 27 81 51", "04 93 72 81 50", "05 93 27 81 50"],
    );
    assert_same(
        &[
            "(555) 010-4477",
            "555-010-4477",
            "+1 555 010 4477",
            "1-555-010-4477",
            "555.010.4477",
        ],
        &["(556) 010-4477"],
    );
    assert_same(
        &[
            "030 9018 2040",
            "030/90182040",
            "+49 30 90182040",
            "0049 30 9018 2040",
        ],
        &["040 9018 2040"],
    );
    assert_same(
        &["020 7946 0018", "+44 20 7946 0018", "(020) 7946 0018"],
        &["020 7946 0081"],
    );
    assert_same(
        &["91 234 56 78", "912345678", "+34 912 345 678"],
        &["91 234 56 87"],
    );
    assert_same(&["06 4567 8901", "+39 06 45678901"], &["06 4567 8902"]);
    assert_same(
        &["0470 12 34 56", "+32 470 12 34 56", "0470/12.34.56"],
        &["0470 12 34 65"],
    );
    assert_same(
        &["+351 21 345 6789", "213 456 789", "21 345 67 89"],
        &["213 456 798"],
    );
    assert_same(
        &["8 (495) 123-45-67", "+7 495 123-45-67"],
        &["8 (495) 123-45-76"],
    );
}

#[test]
fn a_telephone_number_is_found_beside_other_numbers() {
    for text in [
        "au 0199001234 7 jours sur 7",
        "au 0199001234 24 heures sur 24",
        "au 0199001234 - 0612345678",
        "au 0199001234/0612345678",
        "au 01 99 00 12 34 06 12 34 56 78",
        "au +33 1 99 00 12 34 24/7",
        "au +33199001234 7 jours sur 7",
    ] {
        assert_finds(&[("0199001234", text), ("01 99 00 12 34", text)]);
    }
    for text in [
        "Call 020 7946 0018 24 hours a day",
        "Call +44 20 7946 0018 24/7",
        "Call 020 7946 0018 - 020 7946 0019",
    ] {
        assert_finds(&[("020 7946 0018", text), ("+44 20 7946 0018", text)]);
    }
    // A row of a table may begin like a number.
    assert_finds(&[
        ("1250", "01 1250 3400 780 15 20"),
        ("06000", "06000 1200 350 12 40"),
    ]);
    assert_finds(&[
        ("020 7946 0019", "Call 020 7946 0018 - 020 7946 0019"),
        ("06 12 34 56 78", "au 0199001234 - 0612345678"),
        ("0123 4567 8901 2345", "compte 0123456789012345"),
        ("0123456789012345", "compte 0123 4567 8901 2345"),
    ]);
}

#[test]
fn spelling_with_hyphen_without_or_as_two_words_is_the_same() {
    assert_same(&["e-mail", "email", "E-Mail"], &["mail"]);
    assert_finds(&[
        ("weekend", "La garde du week-end"),
        ("week-end", "La garde du weekend"),
        ("multi-sport", "le stage multisports"),
        ("multisports", "le stage multi-sport"),
        ("habitation", "la taxe d'habi-\ntation"),
        ("co-working", "the coworking space"),
        ("addon", "an add-on for the editor"),
        ("add-on", "an addon for the editor"),
        ("sign-on", "single signon"),
        ("rendezvous", "prendre rendez-vous"),
    ]);
    assert!(query("bi mensuel").contains(&"bimensuel".to_owned()));
    assert!(query("week end").contains(&"weekend".to_owned()));
    // An attached pronoun is a separate word.
    assert!(
        !query("Peut-on partir ?")
            .iter()
            .any(|term| term.contains("peuton"))
    );
}
