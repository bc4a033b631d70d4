//! Conversion of tiny models, and rejection of damaged ones.

mod tiny;

use super::{
    E5, MINILM, Manifest, check_folder, e5,
    encoder::{self, Shape},
    minilm,
    onnx::{
        EXTERNAL, FLOAT, GraphProto, INT8, INT64, ModelProto, TensorProto, UINT8, ValueInfoProto,
    },
};
use anyhow::Result;
use prost::Message;
use serde_json::Value;
use std::{collections::HashSet, fs, path::Path};
use tempfile::TempDir;
use tiny::{TINY, packed_model, safetensors_model};

fn convert_packed(bytes: &[u8], out: &Path) -> Result<()> {
    let model = e5::PackedModel::read(bytes, &TINY)?;
    encoder::write(out, "tiny", &TINY, &model.embeddings()?, model.layers())?;
    model.vocabulary.write(out)
}

fn read_graph(folder: &Path) -> GraphProto {
    let bytes = fs::read(folder.join("model.onnx")).expect("the model is written");
    let model = ModelProto::decode(bytes.as_slice()).expect("the model is protobuf");
    model.graph.expect("the model has a graph")
}

/// The bytes of a weight, wherever they are, after checking their location and length.
fn weight_bytes(tensor: &TensorProto, data: &[u8]) -> Vec<u8> {
    let count: i64 = tensor.dims.iter().product();
    let size = match tensor.data_type {
        Some(FLOAT) => 4,
        Some(INT64) => 8,
        Some(INT8 | UINT8) => 1,
        other => panic!("unexpected type {other:?}"),
    };
    let bytes = if tensor.data_location == Some(EXTERNAL) {
        let [location, offset, length] = ["location", "offset", "length"].map(|key| {
            let mut entries = tensor.external_data.iter();
            entries
                .find(|entry| entry.key() == key)
                .and_then(|entry| entry.value.clone())
                .expect("an external weight has the key")
        });
        assert_eq!(location, "model.data");
        let offset: usize = offset.parse().expect("the offset is a number");
        let length: usize = length.parse().expect("the length is a number");
        assert_eq!(offset % 4096, 0);
        data[offset..offset + length].to_vec()
    } else {
        tensor.raw_data.clone().expect("a weight has values")
    };
    assert_eq!(i64::try_from(bytes.len()), Ok(count * size));
    bytes
}

#[test]
fn a_packed_model_becomes_a_connected_graph_with_its_weights() {
    let folder = TempDir::new().expect("a temporary folder");
    convert_packed(&packed_model(), folder.path()).expect("the model is whole");
    let graph = read_graph(folder.path());
    let data = fs::read(folder.path().join("model.data")).expect("the data file is written");

    let weights = graph.initializer.iter().map(TensorProto::name);
    let inputs = graph.input.iter().map(ValueInfoProto::name);
    let mut known: HashSet<&str> = weights.chain(inputs).collect();
    for node in &graph.node {
        for input in &node.input {
            assert!(known.contains(input.as_str()), "nothing gives {input}");
        }
        for output in &node.output {
            assert!(known.insert(output), "two things give {output}");
        }
    }
    assert!(known.contains("last_hidden_state"));

    let tensor = |name: &str| {
        let found = graph
            .initializer
            .iter()
            .find(|tensor| tensor.name() == name);
        found.unwrap_or_else(|| panic!("the graph has no {name}"))
    };
    // The low halves of a block's bytes (6) come first, then the high halves (0xa).
    let block = [[0x66; 8], [0xaa; 8]].concat();
    let words = weight_bytes(tensor("words.values"), &data);
    assert_eq!(words, block.repeat(40));
    // A position and a token type of 0.5 each.
    let positions = weight_bytes(tensor("positions.table"), &data);
    assert_eq!(positions, 1_f32.to_le_bytes().repeat(16 * 32));
    assert_eq!(tensor("layer1.qkv.values").dims, [32, 96]);
    assert_eq!(tensor("layer1.intermediate.values").dims, [32, 64]);
    for tensor in &graph.initializer {
        weight_bytes(tensor, &data);
    }
    // All weights are equal. Column 15 has outliers: it is halved, and its weights are doubled.
    let attention = weight_bytes(tensor("layer1.qkv.values"), &data);
    let largest: Vec<u8> = attention
        .chunks(96)
        .map(|column| column[0].cast_signed().unsigned_abs())
        .collect();
    let (outlier, other) = (63, 31);
    assert_eq!(
        (largest[14], largest[15], largest[16]),
        (other, outlier, other)
    );
    let factors = weight_bytes(tensor("layer1.qkv.factors"), &data);
    let factor = |column: usize| factors[4 * column..][..4].to_vec();
    assert_eq!(factor(14), 1_f32.to_le_bytes());
    assert_eq!(factor(15), 0.5_f32.to_le_bytes());
    check_zero_points(&graph);
}

/// Products use the zero point with which their bytes were quantised.
fn check_zero_points(graph: &GraphProto) {
    let mut products = 0;
    for product in &graph.node {
        if product.op_type() != "MatMulIntegerToFloat" {
            continue;
        }
        products += 1;
        let mut nodes = graph.node.iter();
        let made = nodes.find(|node| node.output[0] == product.input[0]);
        let made = made.expect("the bytes are made by a node");
        assert_eq!(made.op_type(), "QuantizeLinear");
        assert_eq!(made.input[2], format!("each_{}", product.input[4]));
        let is_after_gelu = made.input[0].ends_with("activated");
        assert_eq!(product.input[4] == "low", is_after_gelu);
    }
    assert_eq!(products, 4 * TINY.layers);
}

#[test]
fn a_vocabulary_becomes_a_tokenizer() {
    let folder = TempDir::new().expect("a temporary folder");
    convert_packed(&packed_model(), folder.path()).expect("the model is whole");
    let bytes = fs::read(folder.path().join("tokenizer.json")).expect("it is written");
    let tokenizer: Value = serde_json::from_slice(&bytes).expect("it is JSON");
    assert_eq!(tokenizer["model"]["unk_id"], 3);
    assert_eq!(
        tokenizer["model"]["vocab"][4],
        serde_json::json!(["▁œuvre", -1.5])
    );
    assert_eq!(tokenizer["added_tokens"][1]["content"], "<pad>");
    let begin = &tokenizer["post_processor"]["single"][0]["SpecialToken"]["id"];
    assert_eq!(begin, "<s>");
}

#[test]
fn a_damaged_packed_model_is_rejected_with_the_reason() {
    let good = packed_model();
    let error = |bytes: &[u8]| {
        let folder = TempDir::new().expect("a temporary folder");
        let refused = convert_packed(bytes, folder.path());
        format!("{:#}", refused.expect_err("the model is damaged"))
    };
    for length in (0..good.len()).step_by(97).chain([good.len() - 1]) {
        let message = error(&good[..length]);
        assert!(
            message.contains("truncated") || message.contains("E5S1"),
            "{length} bytes: {message}"
        );
    }
    let changed = |position: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[position] = byte;
        error(&bytes)
    };
    assert!(changed(4, 9).contains("format version is 9"));
    assert!(changed(8, 64).contains("hidden size is 64, not 32"));
    assert!(changed(24, 30).contains("vocabulary size is 30, not 40"));
    let text = good.windows(3).position(|bytes| bytes == b"<s>");
    let text = text.expect("the first piece is in the file");
    assert!(changed(text, 0xff).contains("UTF-8"));
}

#[test]
fn a_safetensors_model_is_quantised_block_by_block() {
    let bytes = safetensors_model();
    let model = minilm::Safetensors::read(&bytes, &TINY).expect("the file is whole");
    let folder = TempDir::new().expect("a temporary folder");
    let embeddings = model.embeddings().expect("the tensors are there");
    encoder::write(folder.path(), "tiny", &TINY, &embeddings, model.layers())
        .expect("the layers are there");
    let nodes = read_graph(folder.path()).node;
    let products = nodes.iter().filter(|node| node.op_type() == "MatMulNBits");
    assert_eq!(products.count(), 4 * TINY.layers);
    // The largest weight of a block, here every one, is 127 steps above 128.
    assert!(embeddings.words.values.iter().all(|&value| value == 255));
}

#[test]
fn a_safetensors_file_of_another_model_is_rejected() {
    let bytes = safetensors_model();
    let read = |shape: &Shape| {
        let model = minilm::Safetensors::read(&bytes, shape)?;
        model.embeddings()?;
        model.layers().collect::<Result<Vec<_>>>()
    };
    let message = |shape: &Shape| format!("{:#}", read(shape).err().expect("it is refused"));
    let wider = Shape {
        vocabulary: 41,
        ..TINY
    };
    assert!(message(&wider).contains("word_embeddings.weight is F32 [40, 32]"));
    let deeper = Shape { layers: 3, ..TINY };
    assert!(message(&deeper).contains("lacks the tensor encoder.layer.2."));
    assert!(minilm::Safetensors::read(&bytes[..bytes.len() - 1], &TINY).is_err());
}

#[test]
fn a_folder_in_use_is_rejected() {
    let folder = TempDir::new().expect("a temporary folder");
    check_folder(folder.path()).expect("the folder is empty");
    fs::write(folder.path().join("manifest.json"), "{}").expect("the folder can be written");
    assert!(check_folder(folder.path()).is_err());
    assert!(check_folder(&folder.path().join("missing")).is_err());
}

fn check_reference(manifest: &Manifest, reference: &[u8]) {
    let reference: Value = serde_json::from_slice(reference).expect("it is JSON");
    let minimum = reference["minimum_cosine"].as_f64().expect("a number");
    assert!((0.998..1.0).contains(&minimum));
    let texts = reference["texts"].as_array().expect("a list");
    assert!(texts.len() >= 16);
    for text in texts {
        assert!(text["text"].is_string());
        assert!(text["kind"] == "query" || text["kind"] == "passage");
        let embedding = text["embedding"].as_array().expect("a list");
        assert_eq!(embedding.len(), manifest.dimensions);
        let square = |number: &Value| number.as_f64().expect("a number").powi(2);
        let length: f64 = embedding.iter().map(square).sum();
        assert!((length - 1.0).abs() < 1e-4, "{}: {length}", text["text"]);
    }
}

#[test]
fn reference_embeddings_are_unit_vectors_of_the_right_length() {
    check_reference(&E5, include_bytes!("reference/multilingual-e5-small.json"));
    check_reference(&MINILM, include_bytes!("reference/all-MiniLM-L6-v2.json"));
}
