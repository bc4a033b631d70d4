//! The filter language for descriptions of the API.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::Filter;

impl JsonSchema for Filter {
    fn schema_name() -> Cow<'static, str> {
        "Filter".into()
    }

    /// Which values an operator takes depends on the key, so the schema is only that of an object.
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "description": "Conditions on a document's metadata, and on its fields $id, $title, $source, $created_at and \
                            $updated_at, with the operators $eq, $ne, $gt, $gte, $lt, $lte, $in, $nin, $exists, \
                            $contains, $and, $or and $not.",
            "examples": [{ "year": { "$gte": 2022 }, "language": { "$in": ["fr", "en"] } }],
        })
    }
}
