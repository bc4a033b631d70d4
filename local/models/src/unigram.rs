//! Writes a `SentencePiece` unigram vocabulary as `tokenizer.json` of Hugging Face's tokenizers, and in a form that needs
//! no parsing.

use anyhow::{Context, Result, bail, ensure};
use serde::Serialize;
use serde_json::{Value, json};
use std::{
    collections::HashSet,
    fs::File,
    io::{BufWriter, Write},
    path::Path,
};

/// Replaces the fullwidth tilde during normalisation: a private-use character that no normalisation touches.
const TILDE_STAND_IN: &str = "\u{e000}";

/// Marks the beginning of a word.
const WORD_MARK: &str = "▁";

/// The pieces of a unigram tokenizer; a piece's index is its token id.
pub(super) struct Vocabulary<'a> {
    pub(super) pieces: Vec<&'a str>,
    /// The logarithm of each piece's probability.
    scores: Vec<f32>,
    /// Ids of the begin, end, padding and unknown tokens.
    special: [usize; 4],
}

impl<'a> Vocabulary<'a> {
    /// Fails for a duplicate piece, a missing score, or a special id that is out of range.
    pub(super) fn new(pieces: Vec<&'a str>, scores: Vec<f32>, special: [usize; 4]) -> Result<Self> {
        ensure!(
            pieces.len() == scores.len() && scores.iter().all(|score| score.is_finite()),
            "its vocabulary does not have a finite score for each piece"
        );
        ensure!(
            special.iter().all(|&id| id < pieces.len()),
            "one of its special token ids {special:?} is not below the number of pieces, {}",
            pieces.len()
        );
        let mut seen = HashSet::with_capacity(pieces.len());
        if let Some(piece) = pieces.iter().find(|&&piece| !seen.insert(piece)) {
            bail!("its vocabulary has the piece {piece:?} twice");
        }
        Ok(Self {
            pieces,
            scores,
            special,
        })
    }

    /// Writes `tokenizer.json` and `unigram.bin` to `folder`, without truncation and padding, which the loader sets.
    pub(super) fn write(&self, folder: &Path) -> Result<()> {
        write(folder, "tokenizer.json", |file| {
            Ok(serde_json::to_writer(file, &self.tokenizer())?)
        })?;
        write(folder, "unigram.bin", |file| self.write_prepared(file))
    }

    /// The embedder prefers this form, because parsing `tokenizer.json` takes longer than the rest of a cold start.
    /// Little-endian: `UNIGRAM1`; the number of pieces, the id of the unknown piece, the lengths of the last two parts,
    /// four bytes each; the score of each piece as a double; `tokenizer.json` without its model; a map of pieces to ids in
    /// the format of `fst`.
    fn write_prepared(&self, file: &mut impl Write) -> Result<()> {
        let [_, _, _, unknown] = self.special;
        let pipeline = serde_json::to_vec(&TokenizerFile {
            model: None,
            ..self.tokenizer()
        })?;
        let mut sorted: Vec<(&str, u64)> = self.pieces.iter().copied().zip(0..).collect();
        sorted.sort_unstable();
        let map = fst::Map::from_iter(sorted)?;

        file.write_all(b"UNIGRAM1")?;
        let map = map.as_fst().as_bytes();
        for size in [self.pieces.len(), unknown, pipeline.len(), map.len()] {
            file.write_all(&u32::try_from(size)?.to_le_bytes())?;
        }
        for &score in &self.scores {
            file.write_all(&f64::from(score).to_le_bytes())?;
        }
        file.write_all(&pipeline)?;
        Ok(file.write_all(map)?)
    }

    fn tokenizer(&self) -> TokenizerFile<'a> {
        let [_, _, _, unknown] = self.special;
        let scores = self.scores.iter().map(|&score| f64::from(score));
        TokenizerFile {
            version: "1.0",
            truncation: None,
            padding: None,
            added_tokens: sorted(self.added_tokens()),
            normalizer: sorted(normalizer()),
            pre_tokenizer: sorted(metaspace()),
            post_processor: sorted(self.post_processor()),
            decoder: sorted(metaspace()),
            model: Some(Unigram {
                r#type: "Unigram",
                unk_id: unknown,
                byte_fallback: false,
                vocab: self.pieces.iter().copied().zip(scores).collect(),
            }),
        }
    }

    /// Lists the special tokens by id, in the order the tokenizers require.
    fn added_tokens(&self) -> Value {
        let mut ids = self.special;
        ids.sort_unstable();
        ids.iter()
            .map(|&id| {
                json!({
                    "id": id, "content": self.pieces[id], "special": true, "normalized": false,
                    "single_word": false, "lstrip": false, "rstrip": false,
                })
            })
            .collect()
    }

    /// Surrounds a text with the begin and end tokens.
    fn post_processor(&self) -> Value {
        let [begin, end, ..] = self.special;
        let special = |id: usize| json!({"SpecialToken": {"id": self.pieces[id], "type_id": 0}});
        let text = |name: &str| json!({"Sequence": {"id": name, "type_id": 0}});
        let entry =
            |id: usize| json!({"id": self.pieces[id], "ids": [id], "tokens": [self.pieces[id]]});
        json!({
            "type": "TemplateProcessing",
            "single": [special(begin), text("A"), special(end)],
            "pair": [special(begin), text("A"), special(end), text("B"), special(end)],
            "special_tokens": {self.pieces[begin]: entry(begin), self.pieces[end]: entry(end)},
        })
    }
}

/// The parts of `tokenizer.json`; borrows the vocabulary, which is most of it.
#[derive(Serialize)]
struct TokenizerFile<'a> {
    version: &'static str,
    truncation: Option<()>,
    padding: Option<()>,
    added_tokens: Value,
    normalizer: Value,
    pre_tokenizer: Value,
    post_processor: Value,
    decoder: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<Unigram<'a>>,
}

#[derive(Serialize)]
struct Unigram<'a> {
    r#type: &'static str,
    unk_id: usize,
    byte_fallback: bool,
    /// Double precision, as in the tokenizers, keeps the exact score.
    vocab: Vec<(&'a str, f64)>,
}

/// With keys in alphabetical order, whatever the features of `serde_json` in this build: the bytes are pinned.
fn sorted(mut value: Value) -> Value {
    value.sort_all_objects();
    value
}

/// Creates the file `name` in `folder`.
fn write(
    folder: &Path,
    name: &str,
    content: impl FnOnce(&mut BufWriter<File>) -> Result<()>,
) -> Result<()> {
    let path = folder.join(name);
    let write = || {
        let mut file = BufWriter::new(File::create_new(&path)?);
        content(&mut file)?;
        anyhow::Ok(file.flush()?)
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

/// `SentencePiece`'s `nmt_nfkc` rule: control characters and unusual spaces cleaned (`Nmt`), then
/// compatibility forms unified, except for the fullwidth tilde, then runs of spaces joined.
///
/// Japanese writes ranges with that tilde, and the vocabulary has it; plain NFKC would replace it.
fn normalizer() -> Value {
    json!({
        "type": "Sequence",
        "normalizers": [
            {"type": "Replace", "pattern": {"String": "～"}, "content": TILDE_STAND_IN},
            {"type": "Nmt"},
            {"type": "NFKC"},
            {"type": "Replace", "pattern": {"String": TILDE_STAND_IN}, "content": "～"},
            {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "},
        ],
    })
}

fn metaspace() -> Value {
    json!({
        "type": "Metaspace", "replacement": WORD_MARK, "prepend_scheme": "always", "split": true,
    })
}
