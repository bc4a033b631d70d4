//! Tables of lines and rows.

use super::*;

#[test]
fn a_table_is_read_by_its_header() {
    let table = "ID,Title,Content,Année,Auteur,\n\
                 07,Le quai,\"Long de \"\"neuf\"\" mètres,\nen granit.\",1907,,0\n\
                 8,,La grue.,,\"Blin, Éve\",1\n";
    let expected = [
        (
            2,
            r#"{"content":"Long de \"neuf\" mètres,\nen granit.","id":"07","metadata":{"Année":"1907"},"title":"Le quai"}"#,
        ),
        (
            4,
            r#"{"content":"La grue.","id":"8","metadata":{"Auteur":"Blin, Éve"}}"#,
        ),
    ];
    let expected = expected.map(|(line, text)| (line, text.to_owned()));
    assert_eq!(lines(table.as_bytes()), expected);
    for delimiter in [";", "\t", "|"] {
        let other = format!("_id{delimiter}text\n1{delimiter}un, deux\n");
        assert_eq!(
            texts(other.as_bytes()),
            [r#"{"_id":"1","text":"un, deux"}"#]
        );
    }
    assert_eq!(
        texts("content\nun, deux\n".as_bytes()),
        [r#"{"content":"un, deux"}"#]
    );
}

#[test]
fn a_row_that_does_not_fit_its_header_is_not_a_document() {
    let table = b"id,content\n1,a,b\n2\n3,\xe9t\xe9\n4,quatri\xc3\xa8me\n";
    let texts = texts(table);
    assert_eq!(
        texts,
        [
            "refused: a row of 3 fields under a header of 2",
            "refused: a row of 1 fields under a header of 2",
            "refused: a row that is not UTF-8: convert the file, for example with iconv",
            r#"{"content":"quatrième","id":"4"}"#,
        ]
    );
}

#[test]
fn a_refused_row_is_told_from_a_line_of_json_with_the_same_words() {
    let table = b"content,\"a\nb\",\"a\nb\"\nun,deux,trois\n";
    assert_eq!(texts(table), ["refused: a row with two columns a\nb"]);
    for text in ["\"a row of 3 fields\"", "\"Unclosed\"", "{\"Twice\":\"a\"}"] {
        assert_eq!(texts(format!("{{}}\n{text}\n").as_bytes()), ["{}", text]);
    }
}

/// The document of a row as [`lines`] has it.
fn row(line: u64, id: &str, content: &str) -> (u64, String) {
    (line, format!(r#"{{"content":"{content}","id":"{id}"}}"#))
}

#[test]
fn a_table_in_windows_1252_is_read_if_it_looks_like_it() {
    let table = b"id;content;ann\xe9e\r\n1;Une \xe9cluse, c\x92est s\xfbr.;1822\r\n";
    let expected = r#"{"content":"Une écluse, c’est sûr.","id":"1","metadata":{"année":"1822"}}"#;
    assert_eq!(texts(table), [expected]);
    assert!(!is_lines(table));
    // A character of UTF-8 that the first kilobytes end in is none of Windows-1252.
    for before in 0..3 {
        // Cut within its two bytes if one is before.
        let table = format!(
            "content\n{}{}été\n",
            "x".repeat(before),
            "an\n".repeat((HEAD - 9) / 3)
        );
        let last = texts(table.as_bytes()).pop();
        assert_eq!(last.as_deref(), Some(r#"{"content":"été"}"#));
    }
    // Polish, in Windows-1250.
    let other = texts(b"id;content\n1;mo\xbfe by\xb3o\n");
    assert!(other[0].contains("not UTF-8"), "{other:?}");
}

#[test]
fn windows_1252_is_recognised_wherever_its_first_letter_is() {
    let row = |id: u8, text: &str| format!(r#"{{"content":"{text}","id":"{id}"}}"#);
    let mut table = b"id;content\n".to_vec();
    table.extend(b"0;A plain row.\n".repeat(HEAD / 10));
    table.extend(b"1;L'\xe9cluse, c\x92est s\xfbr.\n".repeat(8));
    // Of a file in UTF-8 that was appended. What follows it is UTF-8 by chance.
    table.extend("2;Déjà : 1 → 2.\n".as_bytes());
    table.extend(b"3;MARCH\xc9\xbb\n");
    let rows = texts(&table);
    let first = rows.iter().position(|row| row.contains('\''));
    let expected = [
        vec![row(1, "L'écluse, c’est sûr."); 8],
        vec![row(2, "Déjà : 1 → 2."), row(3, "MARCHÉ»")],
    ];
    assert_eq!(rows[first.expect("it is there")..], expected.concat());
    // Too few letters behind the first one to tell by these alone.
    let mut last = b"id;content\n".to_vec();
    last.extend(b"0;A plain row.\n".repeat(HEAD / 10));
    last.extend(b"1;\xe9t\xe9");
    assert_eq!(texts(&last).pop(), Some(row(1, "été")));
}

#[test]
fn a_stray_byte_far_before_lines_in_utf_8_leaves_them_as_they_are() {
    let row = |text: &str| format!(r#"{{"content":"{text}","id":"1"}}"#);
    let mut table = b"id;content\n1;the shop\x92s door\n".to_vec();
    table.extend(b"0;A plain row.\n".repeat(HEAD / 10));
    let kept = ["Łódź", "Škoda", "Tomaš", "Москва", "déjà"];
    for text in kept {
        table.extend(format!("1;{text}\n").into_bytes());
    }
    // Capital letters in Windows-1252, and what is UTF-8 by chance.
    table.extend(b"1;QUALIT\xc9\xa0: 1, VARI\xc9\xa0: 2\n1;P\xc5\xbb\n");
    table.extend(b"1;d\xc3\xa9j\xc3\xa0 l\x92eau\n");
    // A letter across the end of what is read of a line at once.
    let long = [4, 3].map(|less| format!("{}été", "x".repeat(HEAD - less)));
    for text in &long {
        table.extend(format!("1;{text}\n").into_bytes());
    }
    let rows = texts(&table);
    assert_eq!(rows[0], row("the shop’s door"));
    let refused = "refused: a row that is not UTF-8: convert the file, for example with iconv";
    let expected: Vec<String> = kept
        .into_iter()
        .chain(["QUALITÉ\u{a0}: 1, VARIÉ\u{a0}: 2", "PÅ»"])
        .map(row)
        .chain([refused.to_owned()])
        .chain(long.iter().map(|text| row(text)))
        .collect();
    assert_eq!(rows[rows.len() - expected.len()..], expected);
}

#[test]
fn a_header_in_windows_1252_is_one_before_its_encoding_is_known() {
    let table = b"id;ann\xe9e;content\n1;1822;\"Exemple :\n{\"\"a\"\": \xe9}\"\n";
    assert!(!is_lines(table));
    let expected = r#"{"content":"Exemple :\n{\"a\": é}","id":"1","metadata":{"année":"1822"}}"#;
    assert_eq!(texts(table), [expected]);
}

#[test]
fn a_text_may_begin_with_the_name_of_a_column() {
    for (text, is_table) in [
        ("Content\n\nOf this page.\n", false),
        ("id,content\n1,A row.\n", true),
        ("{\"content\": \"A line.\"}\n", true),
    ] {
        let opened = open_text(Cursor::new(text.as_bytes()));
        assert_eq!(opened.is_ok(), is_table, "{text}");
    }
}

#[test]
fn a_table_whose_fields_have_lines_of_json_is_a_table() {
    let table = "id,content\n1,\"Exemple :\n  {\n    \"\"a\"\": 1\n  }\n\"\n2,Un bief.\n";
    let expected = [
        row(2, "1", r#"Exemple :\n  {\n    \"a\": 1\n  }\n"#),
        row(7, "2", "Un bief."),
    ];
    assert_eq!(lines(table.as_bytes()), expected);
    assert!(!is_lines(table.as_bytes()));
    // A line of JSON is no row, whatever the line before it says.
    let exported = b"exported: id, text\n{\"id\":1}\n{\"id\":2}\n";
    let expected = ["exported: id, text", "{\"id\":1}", "{\"id\":2}"];
    assert_eq!(texts(exported), expected);
}

#[test]
fn a_quotation_mark_that_is_not_closed_is_an_invalid_row() {
    for end in ["\n", "\r\n"] {
        for rest in ["", "3,\n4,\"\"quatre\"\"\n", "3,trois"] {
            let table = format!("id,content\n1,un\n2,\"deux\n{rest}").replace('\n', end);
            let unclosed = (3, "refused: a quotation mark is not closed".to_owned());
            assert_eq!(lines(table.as_bytes()), [row(2, "1", "un"), unclosed]);
        }
        // One that is closed at the end of the file is no error, nor is one within a field.
        let table = format!("id,content{end}1,\"un\"{end}2,6\" de long{end}3,\"\"\"trois\"\"\"");
        let expected = [
            row(2, "1", "un"),
            row(3, "2", r#"6\" de long"#),
            row(4, "3", r#"\"trois\""#),
        ];
        assert_eq!(lines(table.as_bytes()), expected);
    }
    let header = open(Cursor::new(b"id,\"content\n1,un\n"));
    assert!(matches!(header, Err(OpenError::Io(_))));
}

#[test]
fn rows_have_the_numbers_of_their_lines_with_any_line_break_and_empty_rows_are_skipped() {
    let table = "id;content\n1;\"un\nbief\"\n;\n\n;;;\n2;deux\n\"\";\n;";
    for end in ["\n", "\r\n"] {
        let content = format!("un{}bief", end.escape_debug());
        assert_eq!(
            lines(table.replace('\n', end).as_bytes()),
            [row(2, "1", &content), row(7, "2", "deux")]
        );
    }
}

#[test]
fn a_first_line_may_name_the_delimiter() {
    for (table, content) in [
        ("sep=;\nid;content\n1;un, deux\n", "un, deux"),
        ("SEP=|\r\nid|content\r\n1|un; deux", "un; deux"),
        ("\"sep=,\"\nid,content\n1,un\n", "un"),
        ("sep=\t\nid\tcontent\n1\tun\n", "un"),
        ("sep=^\nid^content\n1^un, deux\n", "un, deux"),
    ] {
        assert_eq!(lines(table.as_bytes()), [row(3, "1", content)], "{table}");
        assert!(!is_lines(table.as_bytes()), "{table}");
    }
    assert_eq!(texts(b"sep=;\ncontent\n\"un\"\n"), [r#"{"content":"un"}"#]);
    let other = refused(b"sep=,\nid;content\n1;un\n");
    assert!(other.contains("plain text"), "{other}");
}
