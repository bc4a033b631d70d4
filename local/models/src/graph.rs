//! Builds an ONNX model: nodes in memory, large weights directly in the external data file.

use super::onnx::{
    AttributeProto, DimensionProto, EXTERNAL, FLOAT, GraphProto, INT8, INT64, ModelProto,
    NodeProto, OperatorSetIdProto, StringStringEntryProto, TensorProto, TensorShapeProto,
    TensorTypeProto, TypeProto, UINT8, ValueInfoProto,
};
use anyhow::{Context, Result};
use prost::Message;
use std::{
    fs::{self, File},
    io::{BufWriter, Write},
    path::{Path, PathBuf},
};

const MODEL_FILE: &str = "model.onnx";
const DATA_FILE: &str = "model.data";

/// The name of the writer in each model file. The pins of `layer.sha256` cover it, so it must not follow the crate's name.
const PRODUCER: &str = "rappel";

/// Minimum size of external weights in bytes, the default of the ONNX tools.
const EXTERNAL_FROM: usize = 1024;

/// Alignment of external weights: ONNX requires the page size, so that a runtime can map each weight instead of copying
/// it.
const ALIGNMENT: u64 = 4096;

/// ONNX file format 8 and operator set 17: the oldest with every operator used, so that any ONNX Runtime with the
/// contributed operators reads the file.
const IR_VERSION: i64 = 8;
const OPSET_VERSION: i64 = 17;

/// ONNX Runtime's contributed operators.
const CONTRIB_DOMAIN: &str = "com.microsoft";

/// A size as ONNX stores it.
pub(super) fn int64(size: usize) -> i64 {
    i64::try_from(size).expect("Rust allows no allocation above i64::MAX bytes")
}

/// A dimension of a graph input or output.
pub(super) enum Dimension {
    /// The same in every call.
    Fixed(usize),
    /// Chosen by the caller, under this name.
    Free(&'static str),
}

/// A graph under construction. Every weight is named by the caller and written once.
pub(super) struct GraphBuilder {
    folder: PathBuf,
    graph: GraphProto,
    data: BufWriter<File>,
    data_length: u64,
}

impl GraphBuilder {
    /// Starts a model in `folder`, which must not contain one.
    pub(super) fn create(folder: &Path, name: &str) -> Result<Self> {
        let path = folder.join(DATA_FILE);
        let file =
            File::create_new(&path).with_context(|| format!("cannot create {}", path.display()))?;
        Ok(Self {
            folder: folder.to_owned(),
            graph: GraphProto {
                name: Some(name.to_owned()),
                ..GraphProto::default()
            },
            data: BufWriter::new(file),
            data_length: 0,
        })
    }

    /// Adds a weight of 32-bit floats and returns its name.
    pub(super) fn floats(
        &mut self,
        name: impl Into<String>,
        dims: &[usize],
        values: &[f32],
    ) -> Result<String> {
        let bytes: Vec<u8> = values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        self.weight(name.into(), FLOAT, dims, &bytes)
    }

    /// Adds a weight of bytes and returns its name.
    pub(super) fn bytes(
        &mut self,
        name: impl Into<String>,
        dims: &[usize],
        values: &[u8],
    ) -> Result<String> {
        self.weight(name.into(), UINT8, dims, values)
    }

    /// Adds a weight of signed bytes and returns its name.
    pub(super) fn signed_bytes(
        &mut self,
        name: impl Into<String>,
        dims: &[usize],
        values: &[i8],
    ) -> Result<String> {
        let bytes: Vec<u8> = values.iter().map(|value| value.cast_unsigned()).collect();
        self.weight(name.into(), INT8, dims, &bytes)
    }

    /// Adds a one-dimensional constant of sizes or positions and returns its name.
    pub(super) fn sizes(&mut self, name: impl Into<String>, values: &[usize]) -> Result<String> {
        let values: Vec<i64> = values.iter().copied().map(int64).collect();
        self.shape(name, &values)
    }

    /// Adds a one-dimensional constant of sizes, one of which may be -1, the remainder. Returns its name.
    pub(super) fn shape(&mut self, name: impl Into<String>, sizes: &[i64]) -> Result<String> {
        let bytes: Vec<u8> = sizes.iter().flat_map(|size| size.to_le_bytes()).collect();
        self.weight(name.into(), INT64, &[sizes.len()], &bytes)
    }

    /// Adds a standard operator.
    pub(super) fn standard(
        &mut self,
        operator: &str,
        inputs: &[&str],
        outputs: &[&str],
        attributes: Vec<AttributeProto>,
    ) {
        self.node("", operator, inputs, outputs, attributes);
    }

    /// Adds a contributed operator of ONNX Runtime.
    pub(super) fn contrib(
        &mut self,
        operator: &str,
        inputs: &[&str],
        outputs: &[&str],
        attributes: Vec<AttributeProto>,
    ) {
        self.node(CONTRIB_DOMAIN, operator, inputs, outputs, attributes);
    }

    /// Declares an input of 64-bit integers, the type of token ids and masks.
    pub(super) fn input(&mut self, name: &str, dims: &[Dimension]) {
        self.graph.input.push(value_info(name, INT64, dims));
    }

    /// Declares an output of 32-bit floats.
    pub(super) fn output(&mut self, name: &str, dims: &[Dimension]) {
        self.graph.output.push(value_info(name, FLOAT, dims));
    }

    /// Completes the data file, then writes the model file that refers to it.
    pub(super) fn finish(mut self) -> Result<()> {
        self.data
            .flush()
            .with_context(|| format!("cannot write {DATA_FILE}"))?;
        let opset = |domain: &str, version| OperatorSetIdProto {
            domain: Some(domain.to_owned()),
            version: Some(version),
        };
        let model = ModelProto {
            ir_version: Some(IR_VERSION),
            producer_name: Some(PRODUCER.to_owned()),
            graph: Some(self.graph),
            opset_import: vec![opset("", OPSET_VERSION), opset(CONTRIB_DOMAIN, 1)],
        };
        let path = self.folder.join(MODEL_FILE);
        fs::write(&path, model.encode_to_vec())
            .with_context(|| format!("cannot write {}", path.display()))
    }

    fn weight(
        &mut self,
        name: String,
        data_type: i32,
        dims: &[usize],
        bytes: &[u8],
    ) -> Result<String> {
        let mut tensor = TensorProto {
            dims: dims.iter().copied().map(int64).collect(),
            data_type: Some(data_type),
            name: Some(name.clone()),
            ..TensorProto::default()
        };
        if bytes.len() < EXTERNAL_FROM {
            tensor.raw_data = Some(bytes.to_vec());
        } else {
            let offset = self
                .append(bytes)
                .with_context(|| format!("cannot write the weight {name} to {DATA_FILE}"))?;
            tensor.data_location = Some(EXTERNAL);
            tensor.external_data = vec![
                entry("location", DATA_FILE.to_owned()),
                entry("offset", offset.to_string()),
                entry("length", bytes.len().to_string()),
            ];
        }
        self.graph.initializer.push(tensor);
        Ok(name)
    }

    /// Appends to the data file at the next aligned offset, which it returns.
    fn append(&mut self, bytes: &[u8]) -> Result<u64> {
        let offset = self.data_length.next_multiple_of(ALIGNMENT);
        let padding = usize::try_from(offset - self.data_length)?;
        self.data.write_all(&vec![0; padding])?;
        self.data.write_all(bytes)?;
        self.data_length = offset + u64::try_from(bytes.len())?;
        Ok(offset)
    }

    fn node(
        &mut self,
        domain: &str,
        operator: &str,
        inputs: &[&str],
        outputs: &[&str],
        attributes: Vec<AttributeProto>,
    ) {
        let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        self.graph.node.push(NodeProto {
            input: owned(inputs),
            output: owned(outputs),
            // Node names only appear in ONNX Runtime's messages; the outputs identify a node.
            name: Some(outputs.join(",")),
            op_type: Some(operator.to_owned()),
            attribute: attributes,
            domain: Some(domain.to_owned()),
        });
    }
}

fn entry(key: &str, value: String) -> StringStringEntryProto {
    StringStringEntryProto {
        key: Some(key.to_owned()),
        value: Some(value),
    }
}

fn value_info(name: &str, elem_type: i32, dims: &[Dimension]) -> ValueInfoProto {
    let dim = |dimension: &Dimension| match dimension {
        Dimension::Fixed(size) => DimensionProto {
            dim_value: Some(int64(*size)),
            dim_param: None,
        },
        Dimension::Free(name) => DimensionProto {
            dim_value: None,
            dim_param: Some((*name).to_owned()),
        },
    };
    ValueInfoProto {
        name: Some(name.to_owned()),
        r#type: Some(TypeProto {
            tensor_type: Some(TensorTypeProto {
                elem_type: Some(elem_type),
                shape: Some(TensorShapeProto {
                    dim: dims.iter().map(dim).collect(),
                }),
            }),
        }),
    }
}
