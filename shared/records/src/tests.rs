mod tables;

use std::io::{Cursor, Read, Write as _};

use encoding_rs::{UTF_16BE, UTF_16LE};
use flate2::{Compression, write::GzEncoder};

use super::*;
use crate::LINE_LIMIT;

/// Returns one byte at a time, like a slow pipe.
struct Drops(Cursor<Vec<u8>>);

impl Read for Drops {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = buffer.len().min(1);
        self.0.read(&mut buffer[..most])
    }
}

/// The lines of a file with numbers, or why they are refused.
fn lines(file: &[u8]) -> Vec<(u64, String)> {
    let text = open(Drops(Cursor::new(file.to_vec()))).unwrap_or_else(|error| panic!("{error}"));
    Lines::new(text)
        .map(|line| line.expect("it is whole"))
        .map(|line| match line.text {
            Ok(text) => (line.number, String::from_utf8_lossy(&text).into_owned()),
            Err(refusal) => (line.number, format!("refused: {refusal}")),
        })
        .collect()
}

fn texts(file: &[u8]) -> Vec<String> {
    lines(file).into_iter().map(|(_, text)| text).collect()
}

/// The description of a file without documents.
fn refused(file: &[u8]) -> String {
    match open(Cursor::new(file.to_vec())) {
        Err(OpenError::Unknown(what)) => what,
        Err(OpenError::Io(error)) => panic!("{error}"),
        Ok(_) => panic!("it is accepted: {}", String::from_utf8_lossy(file)),
    }
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text).expect("memory can be written");
    encoder.finish().expect("memory can be written")
}

fn xz(text: &[u8]) -> Vec<u8> {
    let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
    encoder.write_all(text).expect("memory can be written");
    encoder.finish().expect("memory can be written")
}

fn zstd(text: &[u8]) -> Vec<u8> {
    let level = ruzstd::encoding::CompressionLevel::Fastest;
    ruzstd::encoding::compress_to_vec(text, level)
}

fn utf16(text: &str, order: &'static encoding_rs::Encoding, mark: bool) -> Vec<u8> {
    let units = text.encode_utf16().flat_map(|unit| {
        if order == UTF_16LE {
            unit.to_le_bytes()
        } else {
            unit.to_be_bytes()
        }
    });
    let begin = if mark { "\u{feff}" } else { "" };
    let begin = begin.encode_utf16().flat_map(|unit| {
        if order == UTF_16LE {
            unit.to_le_bytes()
        } else {
            unit.to_be_bytes()
        }
    });
    begin.chain(units).collect()
}

const TWO: [&str; 2] = [
    r#"{"id":"quai","content":"Le quai est en granit."}"#,
    r#"{"id":"grue","content":"La grue pèse neuf tonnes."}"#,
];

#[test]
fn one_file_is_read_however_it_is_wrapped() {
    let text = TWO.join("\n");
    let marked = format!("\u{feff}{text}\r\n");
    let halves: Vec<Vec<u8>> = TWO
        .iter()
        .map(|line| format!("{line}\n").into_bytes())
        .collect();
    let members = |compress: fn(&[u8]) -> Vec<u8>| {
        halves
            .iter()
            .flat_map(|half| compress(half))
            .collect::<Vec<u8>>()
    };
    let skippable = [
        b"\x5a\x2a\x4d\x18\x03\0\0\0abc".as_slice(),
        &zstd(text.as_bytes()),
    ]
    .concat();
    for (name, file) in [
        ("plain", text.clone().into_bytes()),
        ("with a mark", marked.clone().into_bytes()),
        ("CRLF", text.replace('\n', "\r\n").into_bytes()),
        ("gzip", gzip(text.as_bytes())),
        ("gzip with a mark", gzip(marked.as_bytes())),
        ("gzip, two members", members(gzip)),
        ("xz", xz(text.as_bytes())),
        ("xz, two streams", members(xz)),
        ("zstd", zstd(text.as_bytes())),
        ("zstd, two frames", members(zstd)),
        ("zstd behind a frame to skip", skippable),
        ("UTF-16", utf16(&text, UTF_16LE, true)),
        ("UTF-16, the other way round", utf16(&text, UTF_16BE, true)),
        ("UTF-16 without a mark", utf16(&text, UTF_16LE, false)),
        (
            "the same, the other way round",
            utf16(&text, UTF_16BE, false),
        ),
        ("UTF-16 in gzip", gzip(&utf16(&text, UTF_16LE, true))),
        ("an array", format!("[{},{}]", TWO[0], TWO[1]).into_bytes()),
        (
            "an array in gzip",
            gzip(format!(" [ {}\n, {} ]\n", TWO[0], TWO[1]).as_bytes()),
        ),
    ] {
        let found: Vec<String> = texts(&file)
            .iter()
            .map(|text| text.trim().to_owned())
            .collect();
        assert_eq!(found, TWO, "{name}");
    }
}

#[test]
fn a_truncated_file_is_an_error_and_not_the_end() {
    let text = TWO.join("\n").into_bytes();
    for mut file in [
        gzip(&text),
        xz(&text),
        zstd(&text),
        b"[{\"id\": 1}, {\"id\"".to_vec(),
    ] {
        file.truncate(file.len() - 2);
        let read = open(Cursor::new(file)).map(Lines::new);
        let ended = read.map(|lines| lines.last().is_some_and(|line| line.is_err()));
        assert!(ended.unwrap_or(true));
    }
}

#[test]
fn the_elements_of_an_array_are_lines_and_have_their_numbers() {
    let array =
        "[\n  {\"a\": \"],[{\\\"\"},\n  {\n    \"b\": [1, {}],\n    \"c\": \"\\\\\"\n  }, 7\n]\n";
    assert_eq!(
        lines(array.as_bytes()),
        [
            (2, r#"{"a": "],[{\""}"#.to_owned()),
            (3, r#"{     "b": [1, {}],     "c": "\\"   }"#.to_owned()),
            (6, "7 ".to_owned())
        ]
    );
    assert_eq!(texts(b"[]"), Vec::<String>::new());
    // The rest is not lost.
    assert_eq!(texts(b"[1]\n{\"id\":2}"), ["1", "{\"id\":2}"]);
}

#[test]
fn any_other_file_is_refused_with_its_likely_format() {
    for (file, told) in [
        ("%PDF-1.7\n".as_bytes(), "a PDF"),
        (b"PK\x03\x04\x14\0", "ZIP"),
        (b"<!doctype html>\n<p>", "HTML"),
        (
            b"nom;texte libre\n1;b\n",
            "names no column content (or text), but nom, texte libre",
        ),
        (b"id,content,Content\n1,a,b\n", "two columns content"),
        (b"Once upon a time.\nThere was no JSON.\n", "plain text"),
        (b"[todo] buy milk\n", "plain text"),
        (b"\x01\x02\x03\x04", "binary"),
        (b"{\n  \"id\": 1\n}\n", "over several lines"),
        (&gzip(b"%PDF-1.7"), "a PDF"),
    ] {
        assert!(refused(file).contains(told), "{told}: {}", refused(file));
    }
    // Files with byte order marks that were joined.
    let joined = format!("\u{feff}{}\r\n\u{feff}\n\u{feff}{}\n", TWO[0], TWO[1]);
    let expected = [(1, TWO[0].to_owned()), (3, TWO[1].to_owned())];
    assert_eq!(lines(joined.as_bytes()), expected);
    // An invalid line does not affect others.
    assert_eq!(
        texts(b"# exported\n{\"id\":1}\n"),
        ["# exported", "{\"id\":1}"]
    );
    assert_eq!(texts(b""), Vec::<String>::new());
    assert_eq!(texts(b"\xef\xbb\xbf\n\n"), Vec::<String>::new());
}

#[test]
fn a_line_may_have_all_of_the_limit_and_no_more() {
    for (end, fits) in [
        ("", true),
        ("\n", true),
        ("\r\n", true),
        ("x\n", false),
        ("xx", false),
        ("xxx\r\n", false),
    ] {
        let mut file = b"{".to_vec();
        file.resize(LINE_LIMIT, b'x');
        file.extend_from_slice(end.as_bytes());
        file.extend_from_slice(b"\n{}\n");
        let text = open(Cursor::new(file)).unwrap_or_else(|error| panic!("{error}"));
        let lines: Vec<Line> = Lines::new(text)
            .map(|line| line.expect("it is whole"))
            .collect();
        assert_eq!(lines.len(), 2, "{end:?}");
        assert_eq!(
            lines[0].text.as_ref().map(Vec::len),
            fits.then_some(LINE_LIMIT).ok_or(&Refusal::Long),
            "{end:?}"
        );
        assert_eq!(lines[1].text.as_deref(), Ok(b"{}".as_slice()), "{end:?}");
    }
}

#[test]
fn an_object_is_cut_where_it_is_only_if_its_bytes_are_lines() {
    assert!(is_lines(TWO[0].as_bytes()));
    assert!(is_lines(format!("\u{feff}{}", TWO[0]).as_bytes()));
    assert!(is_lines(b""));
    for file in [
        gzip(TWO[0].as_bytes()),
        zstd(TWO[0].as_bytes()),
        xz(TWO[0].as_bytes()),
        utf16(TWO[0], UTF_16LE, true),
        format!("[{}]", TWO[0]).into_bytes(),
        b"id,content\n".to_vec(),
        b"%PDF".to_vec(),
    ] {
        assert!(!is_lines(&file));
    }
}
