//! Models of a few thousand weights, in the formats of the real ones.

use safetensors::{Dtype, tensor::TensorView};

use crate::encoder::Shape;

pub(super) const TINY: Shape = Shape {
    hidden: 32,
    layers: 2,
    heads: 2,
    feed_forward: 64,
    vocabulary: 40,
    positions: 16,
    epsilon: 1e-12,
};

const PIECES: [&str; 6] = ["<s>", "<pad>", "</s>", "<unk>", "▁œuvre", "～"];

/// Name, rows and columns of each matrix of a tiny model in the packed format.
fn packed_matrices() -> Vec<(String, usize, usize)> {
    let layer = |l| {
        [
            ("q", 32, 32),
            ("k", 32, 32),
            ("v", 32, 32),
            ("ao", 32, 32),
            ("fi", 64, 32),
            ("fo", 32, 64),
        ]
        .map(|(part, rows, columns)| (format!("l{l}.{part}.w"), rows, columns))
    };
    let words = (String::from("emb.word"), 40, 32);
    [words].into_iter().chain((0..2).flat_map(layer)).collect()
}

/// Name and length of each vector of floats of a tiny model in the packed format.
fn packed_vectors() -> Vec<(String, usize)> {
    let layer = |l| {
        [
            ("q.b", 32),
            ("k.b", 32),
            ("v.b", 32),
            ("ao.b", 32),
            ("aln.w", 32),
            ("aln.b", 32),
            ("fi.b", 64),
            ("fo.b", 32),
            ("oln.w", 32),
            ("oln.b", 32),
        ]
        .map(|(part, length)| (format!("l{l}.{part}"), length))
    };
    let embeddings = [
        ("emb.pos", 16 * 32),
        ("emb.type", 2 * 32),
        ("emb.ln.w", 32),
        ("emb.ln.b", 32),
    ];
    embeddings
        .map(|(name, length)| (name.to_owned(), length))
        .into_iter()
        .chain((0..2).flat_map(layer))
        .collect()
}

fn put(file: &mut Vec<u8>, numbers: &[u32]) {
    file.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
}

/// A tiny model in the packed format: floats of 0.5, and blocks of bytes 0xa6 with a scale of 1.
pub(super) fn packed_model() -> Vec<u8> {
    let mut file = b"E5S1".to_vec();
    put(&mut file, &[1, 32, 2, 2, 64, 40, 16, 2]);
    file.extend(1e-12_f32.to_le_bytes());
    put(&mut file, &[32, 6, 0, 2, 1, 3]);
    let text = PIECES.concat();
    file.extend((text.len() as u64).to_le_bytes());
    let mut end = 0_u32;
    put(&mut file, &[end]);
    for piece in PIECES {
        end += u32::try_from(piece.len()).expect("pieces are short");
        put(&mut file, &[end]);
    }
    for _ in PIECES {
        file.extend((-1.5_f32).to_le_bytes());
    }
    file.extend(text.as_bytes());
    put(&mut file, &[0, 0]);

    let block = [&[0x00, 0x3c][..], &[0xa6; 16]].concat();
    let matrices = packed_matrices()
        .into_iter()
        .map(|(name, rows, columns)| (name, 1, block.repeat(rows * columns / 32)));
    let vectors = packed_vectors()
        .into_iter()
        .map(|(name, length)| (name, 0, 0.5_f32.to_le_bytes().repeat(length)));
    let tensors: Vec<(String, u8, Vec<u8>)> = matrices.chain(vectors).collect();
    let directory_length: usize = tensors.iter().map(|(name, ..)| 23 + name.len()).sum();
    let mut offset = file.len() + 4 + directory_length;
    put(&mut file, &[u32::try_from(tensors.len()).expect("few")]);
    for (name, kind, bytes) in &tensors {
        file.extend(u16::try_from(name.len()).expect("short").to_le_bytes());
        file.extend(name.as_bytes());
        file.push(*kind);
        put(&mut file, &[0]);
        file.extend((offset as u64).to_le_bytes());
        file.extend((bytes.len() as u64).to_le_bytes());
        offset += bytes.len();
    }
    file.extend(tensors.into_iter().flat_map(|(_, _, bytes)| bytes));
    file
}

/// A tiny model with the names and shapes of the published safetensors file, all weights 0.25.
pub(super) fn safetensors_model() -> Vec<u8> {
    let mut shapes: Vec<(String, Vec<usize>)> = vec![
        ("embeddings.word_embeddings.weight".into(), vec![40, 32]),
        ("embeddings.position_embeddings.weight".into(), vec![16, 32]),
        (
            "embeddings.token_type_embeddings.weight".into(),
            vec![2, 32],
        ),
        ("embeddings.LayerNorm.weight".into(), vec![32]),
        ("embeddings.LayerNorm.bias".into(), vec![32]),
    ];
    for layer in 0..2 {
        for (part, outputs, inputs) in [
            ("attention.self.query", 32, Some(32)),
            ("attention.self.key", 32, Some(32)),
            ("attention.self.value", 32, Some(32)),
            ("attention.output.dense", 32, Some(32)),
            ("attention.output.LayerNorm", 32, None),
            ("intermediate.dense", 64, Some(32)),
            ("output.dense", 32, Some(64)),
            ("output.LayerNorm", 32, None),
        ] {
            let name = format!("encoder.layer.{layer}.{part}");
            let weight = [outputs].into_iter().chain(inputs).collect();
            shapes.push((format!("{name}.weight"), weight));
            shapes.push((format!("{name}.bias"), vec![outputs]));
        }
    }
    let values = 0.25_f32.to_le_bytes().repeat(64 * 64);
    let tensors = shapes.into_iter().map(|(name, shape)| {
        let length = shape.iter().product::<usize>() * 4;
        let view = TensorView::new(Dtype::F32, shape, &values[..length]);
        (name, view.expect("the length fits the shape"))
    });
    safetensors::serialize(tensors, None).expect("the tensors are consistent")
}
