//! Identifiers that differ in a digit or a letter: versions, telephones, amounts, files, days.

use serde_json::{Value, json};
use tests::App;

use crate::Outcome;

/// A leaflet that differs from its neighbours in one thing only.
fn leaflet(kind: &str, value: &str) -> Value {
    let content = format!(
        "Fiche du service technique. Elle décrit le matériel, son entretien et les délais de remplacement. \
         Conservez-la près de l'appareil et signalez toute panne à l'accueil. Mention : {value}."
    );
    json!({ "id": leaflet_id(kind, value), "title": "Fiche", "content": content, "metadata": { "kind": kind } })
}

/// A path carries no `#`, so no id may have one.
fn leaflet_id(kind: &str, value: &str) -> String {
    format!("{kind} {}", value.replace('#', " sharp"))
}

/// Twelve look-alikes of each kind of identifier, and how people ask for the first of them.
const LOOK_ALIKES: [(&str, &str, &[&str]); 9] = [
    (
        "version",
        "v3.9.14 v3.9.1 v3.9.4 v3.9.140 v3.19.4 v9.3.14 v13.9.14 v3.14.9 v3.9.41 v3.0.14 v4.9.13 v3.9.15",
        &["v3.9.14", "3.9.14", "Que change la version 3.9.14 ?"],
    ),
    (
        "product",
        "Quartz2.6 Quartz2.5 Quartz6.2 Quartz2.7 Quartz3.6 Quartz1.6 Quartz2.8 Quartz26.0 Quartz5.2 Quartz7.2 Quartz8.6 Quartz9.6",
        &[
            "quartz2.6",
            "quartz 2.6",
            "Comment entretenir le Quartz 2.6 ?",
        ],
    ),
    (
        "telephone",
        "05_61_40_72_19 05_61_40_72_91 05_61_40_27_19 06_61_40_72_19 05_16_40_72_19 05_61_04_72_19 \
         05_61_40_72_18 01_61_40_72_19 05_61_40_79_12 05_62_40_72_19 05_61_41_72_19 05_60_40_72_19",
        &[
            "05 61 40 72 19",
            "0561407219",
            "05.61.40.72.19",
            "+33 5 61 40 72 19",
            "À qui est le 05-61-40-72-19 ?",
        ],
    ),
    (
        "amount",
        "6_305,80_€ 6_350,80_€ 6_305,08_€ 305,80_€ 16_305,80_€ 63_058,00_€ 6_503,80_€ 6_305,00_€ 6_308,50_€ 5_306,80_€ \
         6_305,90_€ 605,80_€",
        &[
            "6305,80",
            "6,305.80",
            "6.305,80 €",
            "6305.80 euros",
            "La facture de 6 305,80 € ?",
        ],
    ),
    (
        "capacity",
        "48_Go 4_Go 8_Go 480_Go 84_Go 16_Go 32_Go 64_Go 96_Go 24_Go 128_Go 12_Go",
        &["48Go", "48 GB", "un appareil avec 48Go de mémoire"],
    ),
    (
        "code",
        "VT-6093-E VT-6093-F VT-6039-E TV-6093-E VT-6093-EE VT-093-E VT-6903-E VX-6093-E VT-6094-E VT-9063-E VT-6093-A VT-3096-E",
        &["VT-6093-E", "VT6093E", "Avez-vous la pièce VT 6093 E ?"],
    ),
    (
        "file",
        "20220914_devis_toiture.pdf 20220914_devis_facade.pdf 20220914_facture_toiture.pdf 20210914_devis_garage.pdf \
         20220915_plan_cave.pdf 2022_liste_artisans.pdf 20220914_photo_nord.jpg 20220914_photo_sud.jpg \
         20220916_contrat_bail.odt 20220101_budget.xlsx 20220914_note_service.txt 20220914_avis_voisin.pdf",
        &[
            "devis toiture",
            "20220914_devis_toiture.pdf",
            "Où est le devis de la toiture ?",
        ],
    ),
    (
        "day",
        "23/08/2019 24/08/2019 23/09/2019 23/08/2018 22/08/2019 28/03/2019 13/08/2019 23/07/2019 23/08/2009 21/08/2019 \
         03/08/2019 23/10/2019",
        &[
            "23/08/2019",
            "2019-08-23",
            "23 août 2019",
            "August 23, 2019",
        ],
    ),
    (
        "language",
        "C++ C C# F# .NET Java Go R Rust Perl Ruby Ada",
        &["C++", "c++", "Que faut-il savoir de C++ ?"],
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn among_look_alikes_the_one_that_was_asked_for_is_first() -> Outcome {
    let app = App::start().await?;
    for (kind, values, questions) in LOOK_ALIKES {
        let values: Vec<String> = values
            .split_whitespace()
            .map(|value| match kind {
                "file" => value.to_owned(),
                _ => value.replace('_', " "),
            })
            .collect();
        app.ingest(values.iter().map(|value| leaflet(kind, value)).collect())
            .await?;
        let wanted = leaflet_id(kind, &values[0]);
        for question in questions {
            for mode in ["keyword", "hybrid"] {
                let request =
                    json!({ "query": question, "mode": mode, "filter": { "kind": kind } });
                let hits = app.hits(request).await?;
                assert_eq!(
                    hits[0]["document_id"], wanted,
                    "{question} ({mode}): {hits:#?}"
                );
            }
        }
    }
    Ok(())
}
