//! Random documents and filters over few keys and values, so that they meet.

use proptest::{collection::vec, option, prelude::*, sample::select};
use serde_json::{Map, Value, json};

use super::naive::Document;

/// When the first document was stored.
const EPOCH: i64 = 1_704_067_200_000; // 2024-01-01T00:00:00Z
/// The last one is not in the normal form that texts of filters have.
const TITLES: [&str; 5] = ["", "A", "B", "2024-01-01", "e\u{301}"];
/// Keys as metadata has them, and as a filter writes them.
const KEYS: [(&str, &str); 6] = [
    ("a", "a"),
    ("b", "b"),
    ("c", "c"),
    ("d.e", r"d\.e"),
    ("$gt", r"\$gt"),
    ("\u{e9} \"\\'", "\u{e9} \"\\'"),
];
/// Keys of which ranges are indexed, one of them within another.
pub(super) const FIELDS: [&str; 6] = ["a", "b", "b.a", r"d\.e", r"\$gt", "\u{e9} \"\\'"];
const TEXTS: [&str; 14] = [
    "",
    "a",
    "b",
    "10",
    "1",
    "2024-01",
    "\u{1d11e}",
    "\u{ffee}",
    "$gt",
    "\" || true || \"",
    "a\\b",
    "true",
    "null",
    "2024",
];
const TIMES: [&str; 16] = [
    "2024-01-01",
    "2024-01-02",
    "2023-12-31",
    "2024-01-01T00:00",
    "2024-01-01 00:00:00",
    "2024-01-01T00:00:00Z",
    "2024-01-01T00:00:00.000Z",
    "2024-01-01T00:00:00.25Z",
    "2024-01-01T00:00:00.250001",
    "2024-01-01T02:00:00+02:00",
    "2024-01-01 02:00:00.250+02",
    "2023-12-31T19:00:00-0500",
    "2023-12-31T23:59:59.999Z",
    "2024-01-01T10:30Z",
    "2024-01-01T12:30+02:00",
    "2025-06-30T12:00:00Z",
];

/// Documents with ids of their own.
pub(super) fn documents(count: usize) -> impl Strategy<Value = Vec<Document>> {
    vec((metadata(), select(&TITLES[..]), 0..4_i64, 0..4_i64), count).prop_map(|documents| {
        let numbered = documents.into_iter().enumerate();
        let document = numbered.map(|(number, (metadata, title, created, updated))| Document {
            id: format!("d{number}"),
            title: title.to_owned(),
            created_at: EPOCH + created * 250,
            updated_at: EPOCH + updated * 86_400_000,
            metadata,
        });
        document.collect()
    })
}

/// A filter that is accepted.
pub(super) fn filter() -> impl Strategy<Value = Value> {
    let condition = prop_oneof![
        8 => (key(), condition()).prop_map(|(key, condition)| json!({ key: condition })),
        1 => own_name().boxed(),
        1 => own_time().boxed(),
    ];
    condition.prop_recursive(3, 12, 3, |inner| {
        let merged = vec(inner.clone(), 0..3).prop_map(|filters| {
            let members = filters.into_iter().filter_map(|filter| match filter {
                Value::Object(members) => Some(members),
                _ => None,
            });
            Value::Object(members.flatten().collect())
        });
        prop_oneof![
            2 => merged,
            1 => vec(inner.clone(), 1..3).prop_map(|filters| json!({ "$and": filters })),
            1 => vec(inner.clone(), 1..3).prop_map(|filters| json!({ "$or": filters })),
            1 => inner.prop_map(|filter| json!({ "$not": filter })),
        ]
    })
}

fn metadata() -> impl Strategy<Value = Value> {
    let value = scalar().prop_recursive(3, 10, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(Value::from),
            object(inner)
        ]
    });
    object(value)
}

fn object(value: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
    vec((select(&KEYS[..]), value), 0..4).prop_map(|members| {
        let members = members
            .into_iter()
            .map(|((key, _), value)| (key.to_owned(), value));
        Value::Object(members.collect())
    })
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        1 => Just(Value::Null),
        2 => any::<bool>().prop_map(Value::from),
        4 => number(),
        4 => select(&TEXTS[..]).prop_map(Value::from),
        4 => select(&TIMES[..]).prop_map(Value::from),
    ]
}

fn number() -> impl Strategy<Value = Value> {
    select(vec![
        json!(-1),
        json!(0),
        json!(0.0),
        json!(1),
        json!(1.0),
        json!(2.5),
        json!(10),
        json!(1e30),
        json!(-1e-30),
    ])
}

/// One key, or several that lead inwards.
fn key() -> impl Strategy<Value = String> {
    vec(select(&KEYS[..]), 1..4).prop_map(|keys| {
        keys.into_iter()
            .map(|(_, written)| written)
            .collect::<Vec<_>>()
            .join(".")
    })
}

fn condition() -> impl Strategy<Value = Value> {
    let operator = prop_oneof![
        (select(vec!["$eq", "$ne"]), plain()).boxed(),
        (select(vec!["$gt", "$gte", "$lt", "$lte"]), bound()).boxed(),
        (
            select(vec!["$in", "$nin"]),
            vec(scalar(), 0..4).prop_map(Value::from)
        )
            .boxed(),
        (Just("$exists"), any::<bool>().prop_map(Value::from)).boxed(),
        (Just("$contains"), scalar()).boxed(),
    ];
    let operators = vec(operator, 1..3).prop_map(|operators| object_of(operators.into_iter()));
    prop_oneof![2 => plain(), 3 => operators].prop_recursive(2, 6, 2, |inner| {
        let objects = inner.clone().prop_filter("an object", Value::is_object);
        prop_oneof![
            objects.clone().prop_map(|inner| json!({ "$not": inner })),
            (select(vec!["$and", "$or"]), vec(objects, 1..3))
                .prop_map(|(operator, inner)| json!({ operator: inner })),
            (key(), inner).prop_map(|(key, inner)| json!({ key: inner })),
        ]
    })
}

/// A value that is meant as it is written.
fn plain() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(2, 6, 2, |inner| {
        let member = vec((key(), inner.clone()), 0..3);
        prop_oneof![
            vec(inner, 0..3).prop_map(Value::from),
            member.prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn bound() -> impl Strategy<Value = Value> {
    prop_oneof![
        number(),
        select(&TEXTS[..]).prop_map(Value::from),
        select(&TIMES[..]).prop_map(Value::from),
    ]
}

fn own_name() -> impl Strategy<Value = Value> {
    let id = || (0..12_u8).prop_map(|number| format!("d{number}"));
    let title = || select(&TITLES[..]).prop_map(str::to_owned);
    let or_null = || option::of(title()).prop_map(Value::from);
    prop_oneof![
        own_text("$id", id().boxed(), id().prop_map(Value::from).boxed()),
        own_text("$title", title().boxed(), or_null().boxed()),
        own_text("$source", title().boxed(), or_null().boxed()),
    ]
}

fn own_text(
    field: &'static str,
    text: BoxedStrategy<String>,
    value: BoxedStrategy<Value>,
) -> BoxedStrategy<Value> {
    let operator = prop_oneof![
        (select(vec!["$eq", "$ne"]), value.clone()).boxed(),
        (
            select(vec!["$in", "$nin"]),
            vec(text.clone(), 0..3).prop_map(Value::from)
        )
            .boxed(),
        (
            select(vec!["$gt", "$gte", "$lt", "$lte"]),
            text.prop_map(Value::from)
        )
            .boxed(),
        (Just("$exists"), any::<bool>().prop_map(Value::from)).boxed(),
    ];
    own(field, value, operator.boxed())
}

fn own_time() -> BoxedStrategy<Value> {
    let time = || select(&TIMES[..]).prop_map(Value::from);
    let operator = prop_oneof![
        (
            select(vec!["$eq", "$ne", "$gt", "$gte", "$lt", "$lte"]),
            time()
        )
            .boxed(),
        (
            select(vec!["$in", "$nin"]),
            vec(time(), 0..3).prop_map(Value::from)
        )
            .boxed(),
    ];
    prop_oneof![
        own("$created_at", time().boxed(), operator.clone().boxed()),
        own("$updated_at", time().boxed(), operator.boxed()),
    ]
    .boxed()
}

fn own(
    field: &'static str,
    value: BoxedStrategy<Value>,
    operator: BoxedStrategy<(&'static str, Value)>,
) -> BoxedStrategy<Value> {
    let operators = vec(operator, 1..3).prop_map(|operators| object_of(operators.into_iter()));
    let condition = prop_oneof![1 => value, 3 => operators.clone(), 1 => operators.prop_map(|inner| json!({ "$not": inner }))];
    condition
        .prop_map(move |condition| json!({ field: condition }))
        .boxed()
}

fn object_of<'a>(members: impl Iterator<Item = (&'a str, Value)>) -> Value {
    let members = members.map(|(key, value)| (key.to_owned(), value));
    Value::Object(members.collect::<Map<_, _>>())
}
