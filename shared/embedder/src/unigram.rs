//! A unigram vocabulary used directly from its file. Parsing a multilingual `tokenizer.json` takes most of a second at
//! every cold start; this one needs only its bytes.
//!
//! Only the vocabulary is ours. Everything else, from normalisation to special tokens, is Hugging Face's tokenizer,
//! which takes any [`Model`].

use std::{
    collections::HashMap,
    io,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use fst::{
    Map, Streamer as _,
    raw::{Node, Output},
};
use serde::Deserialize;
use tokenizers::{
    AddedToken, DecoderWrapper, Model, NormalizerWrapper, PostProcessorWrapper,
    PreTokenizerWrapper, Result, Token, TokenizerImpl, models::unigram::UnigramTrainer,
};

/// A tokenizer around a [`Vocabulary`].
pub(super) type UnigramTokenizer = TokenizerImpl<
    Vocabulary,
    NormalizerWrapper,
    PreTokenizerWrapper,
    PostProcessorWrapper,
    DecoderWrapper,
>;

/// Reads a tokenizer file, all numbers little-endian:
///
/// | bytes | what |
/// |---|---|
/// | 8 | `UNIGRAM1` |
/// | 4 × 4 | the number of pieces `n`, the id of the unknown piece, the lengths of the pipeline and of the map |
/// | 8 × n | the score of each piece, a double, by its id |
/// | | the pipeline: `tokenizer.json` without its model |
/// | | the map of the pieces to their ids, a finite-state transducer of the crate `fst` |
pub(super) fn tokenizer(file: Vec<u8>) -> Result<UnigramTokenizer> {
    let mut parts = Parts(Bytes::from(file));
    if parts.take(MAGIC.len())? != MAGIC {
        return Err("it does not begin with UNIGRAM1".into());
    }
    let pieces = parts.size()?;
    let unknown = u32::try_from(parts.size()?)?;
    let (pipeline, map) = (parts.size()?, parts.size()?);
    let scores = parts.take(pieces.saturating_mul(SCORE))?;
    let pipeline: Pipeline = serde_json::from_slice(&parts.take(pipeline)?)?;
    let vocabulary = Vocabulary::new(Map::new(parts.take(map)?)?, scores, unknown)?;

    let mut tokenizer = UnigramTokenizer::new(vocabulary);
    tokenizer
        .with_normalizer(Some(pipeline.normalizer))?
        .with_pre_tokenizer(Some(pipeline.pre_tokenizer))
        .with_post_processor(Some(pipeline.post_processor));
    tokenizer.add_special_tokens(pipeline.added_tokens)?;
    Ok(tokenizer)
}

const MAGIC: &[u8] = b"UNIGRAM1";

/// Size of a score.
const SCORE: usize = size_of::<f64>();

/// The penalty of an unknown character below the worst piece: `SentencePiece`'s `kUnkPenalty`.
const UNKNOWN_PENALTY: f64 = 10.0;

/// The parts around the vocabulary, in the terms of `tokenizer.json`.
#[derive(Deserialize)]
struct Pipeline {
    normalizer: NormalizerWrapper,
    pre_tokenizer: PreTokenizerWrapper,
    post_processor: PostProcessorWrapper,
    added_tokens: Vec<AddedToken>,
}

/// The text pieces of a unigram model.
pub(super) struct Vocabulary {
    ids: Map<Bytes>,
    /// Doubles by id, as in the file.
    scores: Bytes,
    unknown: u32,
    /// The score of an unknown character.
    unknown_score: f64,
}

/// The best path to a position in the text.
#[derive(Clone, Copy)]
struct Step {
    score: f64,
    /// The start of its last piece; `None` without a path.
    start: Option<usize>,
    id: u32,
}

impl Vocabulary {
    fn new(ids: Map<Bytes>, scores: Bytes, unknown: u32) -> Result<Self> {
        let count = scores.len() / SCORE;
        if ids.len() != count || unknown as usize >= count {
            return Err("its map and its scores are of different pieces".into());
        }
        let lowest = scores
            .chunks_exact(SCORE)
            .map(double)
            .fold(f64::INFINITY, f64::min);
        Ok(Self {
            ids,
            scores,
            unknown,
            unknown_score: lowest - UNKNOWN_PENALTY,
        })
    }

    /// The best path to every byte of `text` (Viterbi). Ties go to the piece that starts first, as in Hugging Face's
    /// `Unigram`, so that all tokens are the same.
    fn steps(&self, text: &str) -> Vec<Step> {
        let nowhere = Step {
            score: 0.0,
            start: None,
            id: self.unknown,
        };
        let mut steps = vec![nowhere; text.len() + 1];
        for (start, character) in text.char_indices() {
            let so_far = steps[start].score;
            let mut offer = |end: usize, id: u32, score: f64| {
                let score = so_far + score;
                if steps[end].start.is_none() || score > steps[end].score {
                    let start = Some(start);
                    steps[end] = Step { score, start, id };
                }
            };
            let mut known = false;
            self.prefixes(&text.as_bytes()[start..], |length, id| {
                known |= length == character.len_utf8();
                offer(start + length, id, self.score(id));
            });
            if !known {
                let end = start + character.len_utf8();
                offer(end, self.unknown, self.unknown_score);
            }
        }
        steps
    }

    /// Passes on every piece at the start of `text`: its length in bytes and its id, shortest first.
    fn prefixes(&self, text: &[u8], mut found: impl FnMut(usize, u32)) {
        let map = self.ids.as_fst();
        let (mut node, mut output) = (map.root(), Output::zero());
        for (index, byte) in text.iter().enumerate() {
            let Some(transition) = node.find_input(*byte).map(|at| node.transition(at)) else {
                return;
            };
            output = output.cat(transition.out);
            node = map.node(transition.addr);
            if let Some(id) = ending(&node, output) {
                found(index + 1, id);
            }
        }
    }

    fn score(&self, id: u32) -> f64 {
        let at = id as usize * SCORE;
        // An id in the map without a score means a damaged file; it never wins.
        let bytes = self.scores.get(at..at + SCORE);
        bytes.map_or(f64::NEG_INFINITY, double)
    }
}

impl Model for Vocabulary {
    type Trainer = UnigramTrainer;

    fn tokenize(&self, text: &str) -> Result<Vec<Token>> {
        let steps = self.steps(text);
        let mut tokens: Vec<Token> = Vec::new();
        // Adjacent unknown characters are one token, which ends here.
        let mut unknown_end = None;
        let mut end = text.len();
        let push = |tokens: &mut Vec<Token>, id: u32, start: usize, end: usize| {
            tokens.push(Token::new(id, text[start..end].to_owned(), (start, end)));
        };
        while end > 0 {
            let Step { start, id, .. } = steps[end];
            let start = start.ok_or("its pieces cannot form the text")?;
            if id == self.unknown {
                unknown_end.get_or_insert(end);
            } else {
                if let Some(unknown_end) = unknown_end.take() {
                    push(&mut tokens, self.unknown, end, unknown_end);
                }
                push(&mut tokens, id, start, end);
            }
            end = start;
        }
        if let Some(unknown_end) = unknown_end {
            push(&mut tokens, self.unknown, 0, unknown_end);
        }
        tokens.reverse();
        Ok(tokens)
    }

    fn token_to_id(&self, token: &str) -> Option<u32> {
        self.ids.get(token).and_then(|id| u32::try_from(id).ok())
    }

    fn id_to_token(&self, id: u32) -> Option<String> {
        let vocabulary = self.get_vocab();
        vocabulary
            .into_iter()
            .find_map(|(token, other)| (other == id).then_some(token))
    }

    fn get_vocab(&self) -> HashMap<String, u32> {
        let mut vocabulary = HashMap::with_capacity(self.ids.len());
        let mut pieces = self.ids.stream();
        while let Some((piece, id)) = pieces.next() {
            let piece = String::from_utf8_lossy(piece).into_owned();
            vocabulary.insert(piece, u32::try_from(id).unwrap_or(self.unknown));
        }
        vocabulary
    }

    fn get_vocab_size(&self) -> usize {
        self.ids.len()
    }

    fn save(&self, _: &Path, _: Option<&str>) -> Result<Vec<PathBuf>> {
        Err(io::Error::from(io::ErrorKind::Unsupported).into())
    }

    fn get_trainer(&self) -> UnigramTrainer {
        UnigramTrainer::default()
    }
}

/// The id of the piece that ends at `node`, if any.
fn ending(node: &Node<'_>, output: Output) -> Option<u32> {
    let id = node.is_final().then(|| output.cat(node.final_output()))?;
    u32::try_from(id.value()).ok()
}

fn double(bytes: &[u8]) -> f64 {
    bytes
        .try_into()
        .map_or(f64::NEG_INFINITY, f64::from_le_bytes)
}

/// The rest of a file.
struct Parts(Bytes);

impl Parts {
    fn take(&mut self, length: usize) -> Result<Bytes> {
        if length > self.0.len() {
            return Err("it is truncated".into());
        }
        Ok(self.0.split_to(length))
    }

    fn size(&mut self) -> Result<usize> {
        let bytes = self.take(size_of::<u32>())?;
        Ok(u32::from_le_bytes((&*bytes).try_into()?) as usize)
    }
}
