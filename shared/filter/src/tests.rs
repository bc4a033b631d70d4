//! What is accepted, what is refused, and that no text of a filter is more than text.

use super::*;

fn compiled(json: &str) -> Compiled {
    Filter::parse(json).expect(json).compile()
}

fn refused(json: &str) -> FieldError {
    Filter::parse(json).expect_err(json)
}

#[test]
fn a_fault_is_named_by_its_place_with_what_is_allowed() {
    for (json, field, detail) in [
        ("[]", "filter", "an object of conditions"),
        ("7", "filter", "is 7"),
        ("{", "filter", "not JSON"),
        (r#"{"a":1,"a":2}"#, "filter", "\"a\" twice"),
        (r#"{"a":{"$near":1}}"#, "filter.a.$near", "$gte"),
        (r#"{"$nor":[]}"#, "filter.$nor", "$created_at"),
        (
            r#"{"a":{"b":{"$between":[1,2]}}}"#,
            "filter.a.b.$between",
            "$between",
        ),
        (
            r#"{"a":{"$gte":1,"b":2}}"#,
            "filter.a.b",
            "beside operators",
        ),
        (
            r#"{"a":{"$id":"x"}}"#,
            "filter.a.$id",
            "outside of the metadata",
        ),
        (r#"{"a":{"$gt":[1]}}"#, "filter.a.$gt", "is a list"),
        (r#"{"a":{"$lte":{"b":1}}}"#, "filter.a.$lte", "is an object"),
        (r#"{"a":{"$lt":true}}"#, "filter.a.$lt", "is true"),
        (r#"{"a":{"$in":"b"}}"#, "filter.a.$in", "not a list"),
        (r#"{"a":{"$nin":[{}]}}"#, "filter.a.$nin[0]", "is an object"),
        (
            r#"{"a":{"$exists":"yes"}}"#,
            "filter.a.$exists",
            "true or false",
        ),
        (
            r#"{"a":{"$contains":["b"]}}"#,
            "filter.a.$contains",
            "one value",
        ),
        (r#"{"a":{"$not":1}}"#, "filter.a.$not", "is 1"),
        (
            r#"{"a":{"$eq":{"$gt":1}}}"#,
            "filter.a.$eq.$gt",
            "begins with $",
        ),
        (r#"{"a":[{"$gt":1}]}"#, "filter.a[0].$gt", "begins with $"),
        (r#"{"$and":{"a":1}}"#, "filter.$and", "not a list"),
        (r#"{"$and":[]}"#, "filter.$and", "at least one"),
        (r#"{"$or":["a"]}"#, "filter.$or[0]", "a string"),
        (r#"{"$not":[]}"#, "filter.$not", "is a list"),
        (r#"{"a..b":1}"#, "filter.a..b", "empty key"),
        (r#"{"a.$b":1}"#, "filter.a.$b", "begins with $"),
        (r#"{"$id":1.5}"#, "filter.$id", "not a string"),
        (r#"{"$id":{"b":1}}"#, "filter.$id.b", "operators are $eq"),
        (r#"{"$id":{}}"#, "filter.$id", "an empty object"),
        (
            r#"{"$created_at":{"$not":{}}}"#,
            "filter.$created_at.$not",
            "an empty object",
        ),
        (
            r#"{"$title":{"$contains":"a"}}"#,
            "filter.$title.$contains",
            "operators are $eq",
        ),
        (
            r#"{"$updated_at":{"$gt":"2026-02-30"}}"#,
            "filter.$updated_at.$gt",
            "ISO date",
        ),
        (
            r#"{"$created_at":1700000000}"#,
            "filter.$created_at",
            "ISO date",
        ),
        ("{\"a\":\"\\u0000\"}", "filter.a", "NUL"),
        (r#"{"a":1e401}"#, "filter.a", "exceeds 400"),
    ] {
        let error = refused(json);
        assert_eq!(error.field, field, "{json}: {error}");
        assert!(error.detail.contains(detail), "{json}: {error}");
    }
}

#[test]
fn the_limits_hold_from_both_sides() {
    let nots = |levels: usize| {
        format!(
            "{}{}{}",
            r#"{"$not":"#.repeat(levels),
            r#"{"a":1}"#,
            "}".repeat(levels)
        )
    };
    let keys = |levels: usize| {
        format!(
            "{}1{}",
            r#"{"a":"#.repeat(levels + 1),
            "}".repeat(levels + 1)
        )
    };
    let lists = |levels: usize| format!(r#"{{"a":{}1{}}}"#, "[".repeat(levels), "]".repeat(levels));
    for nested in [nots(10), keys(10), lists(10)] {
        Filter::parse(&nested).expect(&nested);
    }
    for nested in [
        nots(11),
        keys(11),
        lists(11),
        lists(50_000 / 2),
        nots(5_000),
    ] {
        assert!(refused(&nested).detail.contains("10 levels"));
    }
    let values = |count: usize| format!(r#"{{"a":{{"$in":[{}]}}}}"#, vec!["1"; count].join(","));
    Filter::parse(&values(1_000)).expect("a thousand values");
    assert!(refused(&values(1_001)).detail.contains("1000 are allowed"));
    let text = |bytes: usize| format!(r#"{{"a":"{}"}}"#, "x".repeat(bytes - 8));
    Filter::parse(&text(Filter::MAX_BYTES)).expect("64 kB");
    assert!(
        refused(&text(Filter::MAX_BYTES + 1))
            .detail
            .contains("65536 are allowed")
    );
}

#[test]
fn texts_and_keys_are_quoted() {
    let predicate = |json| compiled(json).metadata.expect(json);
    assert_eq!(
        predicate(r#"{"a\") || (\"b": "\") || true || (\""}"#),
        r#"($."a\") || (\"b" == "\") || true || (\"")"#
    );
    assert_eq!(
        predicate(r#"{"\\$a.b\\.c\\d": "\\"}"#),
        r#"($."$a"."b.c\\d" == "\\")"#
    );
    assert_eq!(
        predicate("{\"e\\u0301\": \"e\\u0301\"}"),
        "($.\"\u{e9}\" == \"\u{e9}\")"
    );
    // Numbers keep their digits.
    assert_eq!(
        predicate(r#"{"a": {"$gt": -123456789012345678901234567890.10}}"#),
        r#"($."a" > -123456789012345678901234567890.10)"#
    );
}

#[test]
fn what_has_a_column_of_its_own_is_a_typed_parameter() {
    let filter = compiled(
        r#"{"lang": "fr", "$id": {"$in": ["a", 7]}, "$created_at": {"$gte": "1970-01-01T00:00:00.0015Z"},
            "$updated_at": {"$gt": "1970-01-01T00:00:01Z", "$lte": "1970-01-01T01:00:02.25+01:00"}}"#,
    );
    assert_eq!(filter.ids, Some(vec!["a".to_owned(), "7".to_owned()]));
    assert_eq!(
        filter.created_at,
        Period {
            from: Some(2),
            before: None
        }
    );
    assert_eq!(
        filter.updated_at,
        Period {
            from: Some(1_001),
            before: Some(2_251)
        }
    );
    assert_eq!(filter.metadata.as_deref(), Some(r#"($."lang" == "fr")"#));
    assert_eq!(filter.document, None);
    let mixed = compiled(r#"{"$or": [{"$id": "a"}, {"lang": "fr"}]}"#);
    assert_eq!(
        mixed.document.as_deref(),
        Some(r#"(($."id" == "a") || ($."metadata"."lang" == "fr"))"#)
    );
}

#[test]
fn a_filter_that_asks_for_nothing_is_known() {
    for json in [
        "{}",
        r#"{"$or":[{"a":1},{}]}"#,
        r#"{"a":{"$nin":[]}}"#,
        r#"{"$not":{"$id":{"$in":[]}}}"#,
        r#"{"$id":{"$exists":true}}"#,
    ] {
        assert!(
            Filter::parse(json).expect(json).matches_everything(),
            "{json}"
        );
    }
    for json in [
        r#"{"a":{}}"#,
        r#"{"a":{"$exists":true}}"#,
        r#"{"$not":{}}"#,
        r#"{"a":null}"#,
    ] {
        assert!(
            !Filter::parse(json).expect(json).matches_everything(),
            "{json}"
        );
    }
}

#[test]
fn conditions_on_a_field_have_a_range_that_an_index_can_answer() {
    let range = |path: &str, kind, low: Option<&str>, high: Option<&str>| FieldRange {
        path: path.to_owned(),
        kind,
        low: low.map(str::to_owned),
        high: high.map(str::to_owned),
    };
    let (number, text) = (RangeKind::Number, RangeKind::Text);
    for (json, ranges, has_rest) in [
        (
            r#"{"year":{"$gte":2020,"$lt":2024}}"#,
            vec![range(r#"$."year"[*]"#, number, Some("2020"), Some("2024"))],
            false,
        ),
        // The stricter of two bounds, as numbers.
        (
            r#"{"$and":[{"a":{"$gt":9}},{"a":{"$gte":1e1}},{"a":{"$lt":"b"}},{"a":{"$lte":"ab"}}]}"#,
            vec![
                range(r#"$."a"[*]"#, number, Some("1e1"), None),
                range(r#"$."a"[*]"#, text, None, Some("ab")),
            ],
            false,
        ),
        // A date may be written with another offset: its neighbours are looked at, too.
        (
            r#"{"a.b":{"$gte":"2024-03-05"},"tags":{"$in":["x","y"]}}"#,
            vec![range(r#"$."a"."b"[*]"#, text, Some("2024-03-04"), None)],
            true,
        ),
        (
            r#"{"lang":"fr","$id":"x"}"#,
            vec![range(r#"$."lang"[*]"#, text, Some("fr"), Some("fr"))],
            false,
        ),
        // What need not hold says nothing of the documents that match.
        (
            r#"{"$or":[{"a":1},{"b":1}],"c":{"$not":{"$lt":5}},"d":{"$ne":5},"e":true,"f":null}"#,
            vec![],
            false,
        ),
    ] {
        let compiled = compiled(json);
        assert_eq!(compiled.ranges, ranges, "{json}");
        assert_eq!(compiled.rest.is_some(), has_rest, "{json}");
    }
}

#[test]
fn a_path_is_read_back_as_the_key_that_it_is_of() {
    for key in [
        "year",
        "author.born",
        r"d\.e",
        r"\$gt",
        "\u{e9} \"\\'",
        "[*]",
        "",
    ] {
        let path = values_path(key, "FIELD").expect(key);
        let read = key_of(&path).expect(key);
        assert_eq!(values_path(&read, "FIELD"), Ok(path));
        assert!(read == key || key.contains('\''), "{read} is {key}");
    }
    assert_eq!(
        values_path("e\u{301}", "FIELD"),
        values_path("\u{e9}", "FIELD"),
        "as metadata are stored"
    );
    assert_eq!(
        values_path("a\0", "FIELD").expect_err("a NUL").field,
        "FIELD"
    );
    for key in ["year", "price.eur", "$id", r"a\.b", r"\$"] {
        let path = format!("$.{}[*]", serde_json::Value::from(key));
        assert_eq!(values_path(&written_key(key), "FIELD"), Ok(path), "{key}");
    }
    for other in ["", "$", "$[*]", "$.a[*]", "$.\"a\"", "$.\"a\"x[*]"] {
        assert_eq!(key_of(other), None, "{other}");
    }
}
