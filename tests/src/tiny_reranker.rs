//! A hand-written cross-encoder in the format of real ones.

use std::{fs, path::Path};

use anyhow::{Context, Result};
use serde_json::json;

/// The first tokens of every vocabulary; they have no weight.
const SPECIAL: [&str; 4] = ["[PAD]", "[CLS]", "[SEP]", "[UNK]"];

/// `TensorProto.DataType.FLOAT`.
const FLOAT: u64 = 1;
/// `TensorProto.DataType.INT64`.
const INT64: u64 = 7;

/// Writes a reranker whose score is the number of pairs of equal words in question and passage. It knows only `words`,
/// in lower case, and truncates at 512 tokens.
///
/// # Errors
/// When a file cannot be written.
pub fn write(folder: &Path, words: &[&str]) -> Result<()> {
    let manifest = json!({ "name": "shared-words", "max_tokens": 512 });
    let files = [
        ("model.onnx", model(words.len())),
        ("tokenizer.json", serde_json::to_vec(&tokenizer(words))?),
        ("manifest.json", serde_json::to_vec(&manifest)?),
    ];
    for (name, bytes) in files {
        let path = folder.join(name);
        fs::write(&path, bytes).with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(())
}

/// A whole-word tokenizer that joins pairs like BERT's: passages have type 1.
fn tokenizer(words: &[&str]) -> serde_json::Value {
    let tokens = SPECIAL.iter().chain(words).copied();
    let vocabulary: serde_json::Map<_, _> = tokens
        .zip(0..)
        .map(|(token, id)| (token.to_owned(), json!(id)))
        .collect();
    let token = |name: &str, kind: u8| json!({ "SpecialToken": { "id": name, "type_id": kind } });
    let text = |name: &str, kind: u8| json!({ "Sequence": { "id": name, "type_id": kind } });
    let special = |name: &str, id: u8| json!({ "id": name, "ids": [id], "tokens": [name] });
    json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": [],
        "normalizer": { "type": "Lowercase" },
        "pre_tokenizer": { "type": "Whitespace" },
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [token("[CLS]", 0), text("A", 0), token("[SEP]", 0)],
            "pair": [
                token("[CLS]", 0), text("A", 0), token("[SEP]", 0), text("B", 1), token("[SEP]", 1),
            ],
            "special_tokens": { "[CLS]": special("[CLS]", 1), "[SEP]": special("[SEP]", 2) },
        },
        "decoder": null,
        "model": { "type": "WordLevel", "unk_token": "[UNK]", "vocab": vocabulary },
    })
}

/// The graph: `question · (same · passage)`, where `same` marks equal tokens, `question` those of the question, and
/// `passage` has the weights of those of the passage.
fn model(words: usize) -> Vec<u8> {
    let weights = [vec![0.0_f32; SPECIAL.len()], vec![1.0; words]].concat();
    let weights: Vec<u8> = weights.iter().flat_map(|w| w.to_le_bytes()).collect();
    let to_float = || int_attribute("to", FLOAT);
    let nodes = [
        node("Unsqueeze", &["input_ids", "two"], "down", None),
        node("Unsqueeze", &["input_ids", "one"], "across", None),
        node("Equal", &["down", "across"], "equal", None),
        node("Cast", &["equal"], "same", Some(to_float())),
        // Padding has type 0 like the question, but no attention.
        node("Sub", &["attention_mask", "token_type_ids"], "first", None),
        node("Cast", &["first"], "first_float", Some(to_float())),
        node("Unsqueeze", &["first_float", "one"], "question", None),
        node("Cast", &["token_type_ids"], "second", Some(to_float())),
        node("Gather", &["weights", "input_ids"], "weighed", None),
        node("Mul", &["second", "weighed"], "second_weighed", None),
        node("Unsqueeze", &["second_weighed", "two"], "passage", None),
        node("MatMul", &["same", "passage"], "shared", None),
        node("MatMul", &["question", "shared"], "sum", None),
        node("Squeeze", &["sum", "two"], "logits", None),
    ];
    let initializers = [
        tensor("one", INT64, 1, &1_i64.to_le_bytes()),
        tensor("two", INT64, 1, &2_i64.to_le_bytes()),
        tensor("weights", FLOAT, SPECIAL.len() + words, &weights),
    ];
    let inputs = ["input_ids", "attention_mask", "token_type_ids"]
        .map(|name| value(name, INT64, &[text(2, "pairs"), text(2, "tokens")]));
    let output = value("logits", FLOAT, &[text(2, "pairs"), number(1, 1)]);
    // Field numbers are those of `onnx.proto`.
    let graph = [
        nodes.map(|node| message(1, &node)).concat(),
        text(2, "shared-words"),
        initializers.map(|tensor| message(5, &tensor)).concat(),
        inputs.map(|input| message(11, &input)).concat(),
        message(12, &output),
    ];
    // Format 8 and operator set 17, like the embedding model.
    let operators = [text(1, ""), number(2, 17)].concat();
    [
        number(1, 8),
        message(7, &graph.concat()),
        message(8, &operators),
    ]
    .concat()
}

fn node(operator: &str, inputs: &[&str], output: &str, attribute: Option<Vec<u8>>) -> Vec<u8> {
    let inputs: Vec<Vec<u8>> = inputs.iter().map(|name| text(1, name)).collect();
    let attribute = attribute.map(|attribute| message(5, &attribute));
    [
        inputs.concat(),
        text(2, output),
        text(4, operator),
        attribute.unwrap_or_default(),
    ]
    .concat()
}

fn int_attribute(name: &str, int: u64) -> Vec<u8> {
    // `AttributeProto.AttributeType.INT` is 2.
    [text(1, name), number(3, int), number(20, 2)].concat()
}

fn tensor(name: &str, kind: u64, length: usize, values: &[u8]) -> Vec<u8> {
    [
        number(1, length as u64),
        number(2, kind),
        text(8, name),
        message(9, values),
    ]
    .concat()
}

fn value(name: &str, kind: u64, dimensions: &[Vec<u8>]) -> Vec<u8> {
    let dimensions: Vec<Vec<u8>> = dimensions.iter().map(|d| message(1, d)).collect();
    let tensor = [number(1, kind), message(2, &dimensions.concat())].concat();
    [text(1, name), message(2, &message(1, &tensor))].concat()
}

/// A protobuf field with a number.
fn number(field: u64, value: u64) -> Vec<u8> {
    [varint(field << 3), varint(value)].concat()
}

/// A field with a string.
fn text(field: u64, text: &str) -> Vec<u8> {
    message(field, text.as_bytes())
}

/// A field with a message or bytes.
fn message(field: u64, bytes: &[u8]) -> Vec<u8> {
    [
        varint((field << 3) | 2),
        varint(bytes.len() as u64),
        bytes.to_vec(),
    ]
    .concat()
}

/// Seven bits per byte, lowest first; the eighth bit means that more follow.
fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value > 0x7f {
        bytes.push(u8::try_from(value & 0x7f).expect("seven bits") | 0x80);
        value >>= 7;
    }
    bytes.push(u8::try_from(value).expect("seven bits"));
    bytes
}
