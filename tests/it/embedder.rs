//! The model itself, loaded as the functions load it and compared with the engine it came from.

use embedder::{Chunk, Embedder, Kind, ModelConfig, cosine, fidelity};
use tests::{Assets, sample, samples};
use tokenizers::{Tokenizer, TruncationParams};
use tokio::task::spawn_blocking;

use crate::Outcome;

async fn load() -> anyhow::Result<Embedder> {
    let assets = Assets::prepared().await?;
    let config = ModelConfig {
        folder: assets.model.clone(),
        library: assets.onnxruntime.clone(),
        threads: 1,
    };
    Ok(spawn_blocking(move || Embedder::load(&config)).await??)
}

#[tokio::test(flavor = "multi_thread")]
async fn embeddings_are_those_of_the_engine_that_the_model_came_from() -> Outcome {
    let embedder = load().await?;
    let fidelity = fidelity(&embedder, &Assets::prepared().await?.model)?;
    let fidelity = fidelity.expect("the default model is converted with reference vectors");
    assert!(fidelity.suffices(), "{fidelity:?}");
    assert!(
        fidelity.lowest_centred > 0.9,
        "the default model is centred, and its means are checked: {fidelity:?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_embedding_does_not_depend_on_its_batch() -> Outcome {
    let embedder = load().await?;
    let alone = embedder.embed_one(Kind::Passage, "Le phare d’Ouessant.")?;
    assert_eq!(alone.len(), embedder.manifest().dimensions);
    let length = alone.iter().map(|x| x * x).sum::<f32>().sqrt();
    assert!(
        (length - 1.0).abs() < 1e-3,
        "embeddings are unit vectors, not {length} long"
    );

    let long = "Une phrase bien plus longue que l’autre. ".repeat(30);
    let together = embedder.embed(Kind::Passage, &[&long, "Le phare d’Ouessant.", "x"])?;
    assert!(
        cosine(&alone, &together[1]) > 0.9999,
        "{}",
        cosine(&alone, &together[1])
    );
    let as_query = embedder.embed_one(Kind::Query, "Le phare d’Ouessant.")?;
    assert!(
        cosine(&alone, &as_query) < 0.9999,
        "questions and passages have prefixes of their own"
    );
    Ok(())
}

/// Texts that take every branch of the tokenizer, beside those that people write.
const ODD_TEXTS: [&str; 12] = [
    "",
    " \t\n ",
    "L’œuvre coûte 1 234,56 € — n° L110-1",
    "ﬁn ﬀ ½ Ⅷ ①",
    "e\u{301}te\u{301} et été",
    "👩‍👩‍👧‍👦 émojis 🇫🇷",
    "東京～大阪 ｶﾀｶﾅ",
    "\u{200b}zéro\u{ad}largeur\u{feff}",
    "<s>balise</s> <pad><unk>",
    "ⴰⵎⴰⵣⵉⵖ 𓀀𓀁 ꙮꙮ ",
    "▁déjà▁▁marqué",
    "antidisestablishmentarianismpneumonoultramicroscopicsilicovolcanoconiosis",
];

#[tokio::test(flavor = "multi_thread")]
async fn the_prepared_vocabulary_gives_the_tokens_of_tokenizer_json() -> Outcome {
    let embedder = load().await?;
    let folder = &Assets::prepared().await?.model;
    assert!(
        folder.join("unigram.bin").is_file(),
        "the default model comes with a prepared vocabulary"
    );
    let mut reference = Tokenizer::from_file(folder.join("tokenizer.json")).map_err(boxed)?;
    reference
        .with_truncation(Some(TruncationParams {
            max_length: embedder.manifest().max_tokens,
            ..TruncationParams::default()
        }))
        .map_err(boxed)?;
    let samples = samples()?;
    let contents = samples
        .iter()
        .filter_map(|sample| sample["content"].as_str());
    let judged = include_str!("../judged/passages.jsonl").lines();
    for text in contents.chain(judged).chain(ODD_TEXTS) {
        let expected = reference.encode_fast(text, true).map_err(boxed)?;
        assert_eq!(embedder.tokenize(text)?, expected.get_ids(), "{text:?}");
    }
    Ok(())
}

fn boxed(error: tokenizers::Error) -> anyhow::Error {
    anyhow::Error::from_boxed(error)
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_counted_beyond_what_the_model_reads() -> Outcome {
    let embedder = load().await?;
    let sentence = "Le phare éclaire la mer. ";
    let few = embedder.count_tokens(&sentence.repeat(10))?;
    assert!((50..200).contains(&few), "{few}");
    let many = embedder.count_tokens(&sentence.repeat(1_000))?;
    assert!((95 * few..110 * few).contains(&many), "{many} for {few}");
    assert_eq!(embedder.count_tokens("")?, 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_is_nearer_to_its_answer_in_another_language_than_to_another_subject() -> Outcome
{
    let embedder = load().await?;
    let question = embedder.embed_one(
        Kind::Query,
        "pourquoi la Lune est-elle rouge pendant une éclipse ?",
    )?;
    let mut near = Vec::new();
    for id in [
        "astronomie-eclipse-lune",
        "astronomy-lunar-eclipse",
        "recette-crepes",
    ] {
        let content = sample(id)?["content"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        near.push(cosine(
            &question,
            &embedder.embed_one(Kind::Passage, &content)?,
        ));
    }
    assert!(near.is_sorted_by(|a, b| a > b), "{near:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn chunks_cover_a_long_text_in_order() -> Outcome {
    let embedder = load().await?;
    let content = sample("travail-reglement-atelier")?["content"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let chunks = embedder.chunks("", &content)?;
    assert!(chunks.len() > 1, "{}", chunks.len());

    // Each chunk is a piece of the text that begins at or before the end of the one before it, save
    // for blanks.
    let mut covered = 0;
    for chunk in &chunks {
        let (start, _) = content
            .char_indices()
            .nth(chunk.start)
            .expect("a chunk begins inside the text");
        let end = start + chunk.content.len();
        assert_eq!(content[start..end], chunk.content);
        assert!(
            content[covered.min(start)..start].trim().is_empty(),
            "nothing is left out before {chunk:?}"
        );
        assert!(
            end > covered,
            "each chunk goes further than the one before it"
        );
        covered = end;
    }
    assert!(
        content[covered..].trim().is_empty(),
        "nothing is left out at the end"
    );
    let short = Chunk {
        heading: String::new(),
        start: 1,
        content: "Court.".to_owned(),
    };
    assert_eq!(embedder.chunks("Titre", " Court.\n")?, [short]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rows_of_a_table_fit_the_model_however_long_they_are() -> Outcome {
    let embedder = load().await?;
    let row = |words: usize| format!("| 7 | {} |\n", "La vanne fuit. ".repeat(words));
    let blanks = format!("| 7 | Vanne {} |\n", " ".repeat(900));
    for (name, rows) in [
        ("a row longer than a passage", row(600)),
        ("two of them", row(600).repeat(2)),
        ("a row of more characters than a passage", row(300)),
        ("rows that align their columns", blanks.repeat(20)),
    ] {
        let short = row(1).repeat(12);
        let table = format!("| Numéro | Constat |\n|---|---|\n{short}{rows}{short}");
        let chunks = embedder.chunks("Registre", &table)?;
        for chunk in &chunks {
            let text = format!("{}\n{}", chunk.heading, chunk.content);
            let tokens = embedder.count_tokens(&text)?;
            assert!(tokens < embedder.manifest().max_tokens, "{name}: {tokens}");
            let characters = chunk.content.chars().count();
            assert!(characters <= 4_000, "{name}: {characters}");
        }
        let last = chunks.last().expect("it has passages");
        assert!(
            last.content.ends_with("La vanne fuit.  |"),
            "{name}: {last:?}"
        );
    }
    Ok(())
}
