//! Files that the tests make, and what is read in them.

use std::io::{Cursor, Read as _, Write as _};

use extract::{Extracted, Format, Reason, extract};
use zip::{ZipArchive, ZipWriter, write::SimpleFileOptions};

/// A PDF file with these contents of pages, and more for its trailer.
fn pdf(pages: &[&str], trailer: &str) -> Vec<u8> {
    let kids: Vec<String> = (0..pages.len())
        .map(|page| format!("{} 0 R", 5 + 2 * page))
        .collect();
    let mut objects = vec![
        "<</Type/Catalog/Pages 2 0 R>>".to_owned(),
        format!(
            "<</Type/Pages/Count {}/Kids[{}]>>",
            pages.len(),
            kids.join(" ")
        ),
        "<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>".to_owned(),
        "<</Title(Station report)/Author<FEFF00C900760065>/CreationDate(D:20260102030405Z)>>"
            .to_owned(),
    ];
    for (page, content) in pages.iter().enumerate() {
        let contents = 6 + 2 * page;
        objects.push(format!(
            "<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Resources<</Font<</F1 3 0 R>>>>/Contents {contents} 0 R>>"
        ));
        objects.push(format!(
            "<</Length {}>>stream\n{content}\nendstream",
            content.len()
        ));
    }
    let mut file = b"%PDF-1.7\n".to_vec();
    let mut places = Vec::new();
    for (number, object) in objects.iter().enumerate() {
        places.push(file.len());
        writeln!(file, "{} 0 obj\n{object}\nendobj", number + 1).expect("memory");
    }
    let table = file.len();
    writeln!(file, "xref\n0 {}\n0000000000 65535 f ", objects.len() + 1).expect("memory");
    for place in places {
        writeln!(file, "{place:010} 00000 n ").expect("memory");
    }
    let size = objects.len() + 1;
    write!(
        file,
        "trailer<</Size {size}/Root 1 0 R/Info 4 0 R{trailer}>>\nstartxref\n{table}\n%%EOF"
    )
    .expect("memory");
    file
}

/// A DOCX file with this body.
fn docx(body: &str) -> Vec<u8> {
    let mut file = ZipWriter::new(Cursor::new(Vec::new()));
    let types = "http://schemas.openxmlformats.org/package/2006";
    let word = "http://schemas.openxmlformats.org";
    for (name, content) in [
        (
            "[Content_Types].xml",
            format!(
                r#"<Types xmlns="{types}/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Override PartName="/word/document.xml" ContentType="application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/></Types>"#
            ),
        ),
        (
            "_rels/.rels",
            format!(
                r#"<Relationships xmlns="{types}/relationships"><Relationship Id="r1" Type="{word}/officeDocument/2006/relationships/officeDocument" Target="word/document.xml"/></Relationships>"#
            ),
        ),
        (
            "word/_rels/document.xml.rels",
            format!(
                r#"<Relationships xmlns="{types}/relationships"><Relationship Id="r1" Type="{word}/officeDocument/2006/relationships/styles" Target="styles.xml"/></Relationships>"#
            ),
        ),
        (
            "word/styles.xml",
            format!(
                r#"<w:styles xmlns:w="{word}/wordprocessingml/2006/main"><w:style w:type="paragraph" w:styleId="Heading1"><w:name w:val="heading 1"/><w:pPr><w:outlineLvl w:val="0"/></w:pPr></w:style></w:styles>"#
            ),
        ),
        (
            "word/document.xml",
            format!(
                r#"<w:document xmlns:w="{word}/wordprocessingml/2006/main"><w:body>{body}</w:body></w:document>"#
            ),
        ),
    ] {
        file.start_file(name, SimpleFileOptions::default())
            .expect("a file");
        file.write_all(content.as_bytes()).expect("its content");
    }
    file.finish().expect("an archive").into_inner()
}

fn paragraph(style: &str, text: &str) -> String {
    format!(r#"<w:p><w:pPr><w:pStyle w:val="{style}"/></w:pPr><w:r><w:t>{text}</w:t></w:r></w:p>"#)
}

fn read(bytes: Vec<u8>, format: Format) -> Extracted {
    extract(bytes, format).expect("it can be read")
}

#[test]
fn a_pdf_file_has_lines_paragraphs_and_pages() {
    let pages = [
        "BT /F1 10 Tf 12 TL 40 800 Td (The pump is in the cel-) Tj T* (lar, left of) Tj T* ( the stairs.) Tj \
         0 -40 Td (Ring ) Tj (the bell.) Tj ET",
        "",
        "BT /F1 10 Tf 40 800 Td [(F) 60 (ilter) -600 (\\(weekly\\))] TJ ET",
    ];
    let extracted = read(pdf(&pages, ""), Format::Pdf);
    assert_eq!(extracted.title, "Station report");
    let text =
        "The pump is in the cellar, left of\nthe stairs.\n\nRing the bell.\n\nFilter (weekly)";
    assert_eq!(extracted.content, text);
    assert_eq!(extracted.metadata["author"], "Éve");
    assert_eq!(extracted.metadata["created"], "2026-01-02");
    let third = text.find("Filter").expect("it is there");
    assert_eq!(
        extracted.metadata["page_starts"],
        serde_json::json!([0, third - 2, third])
    );
}

#[test]
fn a_pdf_file_without_text_or_with_a_password_is_refused() {
    let scan = pdf(&["0 0 595 842 re f"], "");
    assert_eq!(extract(scan, Format::Pdf), Err(Reason::Scanned));
    let key = "00".repeat(32);
    let locked = format!(
        "/ID[<{0}><{0}>]/Encrypt<</Filter/Standard/V 1/R 2/O<{key}>/U<{key}>/P -4>>",
        "ab".repeat(16)
    );
    assert_eq!(
        extract(pdf(&["BT ET"], &locked), Format::Pdf),
        Err(Reason::Encrypted)
    );
    for broken in [b"%PDF-1.7\n".to_vec(), b"<html>".to_vec(), vec![0; 2_000]] {
        assert!(matches!(
            extract(broken, Format::Pdf),
            Err(Reason::Broken(_))
        ));
    }
}

#[test]
fn a_page_is_its_main_content_with_headings_and_tables() {
    let html = "<!doctype html><html lang='fr-CA'><head><title>Le canal &amp; la halle</title>\
        <meta name=author content='Ève'><style>p{}</style></head><body><header>Menu</header><nav><a href=/>Accueil</a></nav>\
        <main><h1>Le canal</h1><p>Une <a href='https://example.org/very/long'>écluse</a> snake_case.</p>\
        <h2>Horaires</h2><table><tr><th>Jour</th><th>Heure</th></tr><tr><td>Lundi</td><td>8 h</td></tr></table>\
        <script>alert(1)</script></main><footer>Mentions</footer></body></html>";
    let extracted = read(html.into(), Format::Html);
    assert_eq!(extracted.title, "Le canal & la halle");
    let metadata = serde_json::json!({ "lang": "fr-CA", "language": "fr", "author": "Ève" });
    assert_eq!(serde_json::Value::from(extracted.metadata), metadata);
    let content = &extracted.content;
    for part in [
        "# Le canal",
        "Une écluse snake_case.",
        "## Horaires",
        "| Lundi | 8 h |",
    ] {
        assert!(content.contains(part), "{part}: {content}");
    }
    for part in ["Menu", "Accueil", "Mentions", "alert", "example.org"] {
        assert!(!content.contains(part), "{part}: {content}");
    }
}

#[test]
fn a_page_is_read_in_the_encoding_that_it_declares() {
    for (html, text) in [
        (b"<meta charset=iso-8859-2><p>\xb1</p>".to_vec(), "ą"),
        ("<p>é</p>".into(), "é"),
        (b"<p>\xe9</p>".to_vec(), "é"),
        (b"<p>\xc3\xa9t\xc3\xa9, \xe9</p>".to_vec(), "été, \u{fffd}"),
        (b"\xff\xfe<\0p\0>\0\xe9\0<\0/\0p\0>\0".to_vec(), "é"),
        (b"<\0p\0>\0\xe9\0<\0/\0p\0>\0".to_vec(), "é"),
        (b"<meta charset=utf-16><p>\xe9</p>".to_vec(), "é"),
        (
            b"<script charset=utf-8></script><meta charset = 'windows-1251'><p>\xe4\xe0</p>".to_vec(),
            "да",
        ),
        (
            b"<?xml version='1.0' encoding='windows-1251'?><html><body><p>\xe4\xe0</p></body></html>"
                .to_vec(),
            "да",
        ),
    ] {
        assert_eq!(read(html, Format::Html).content, text);
    }
}

#[test]
fn a_docx_file_has_headings_and_tables() {
    let cell = |text: &str| format!("<w:tc>{}</w:tc>", paragraph("Normal", text));
    let table = format!(
        "<w:tbl><w:tr>{}{}</w:tr><w:tr>{}{}</w:tr></w:tbl>",
        cell("Part"),
        cell("Size"),
        cell("Seal"),
        cell("12_mm")
    );
    let body =
        paragraph("Heading1", "Complaint") + &paragraph("Normal", "The valve drips.") + &table;
    let Extracted { title, content, .. } = read(docx(&body), Format::Docx);
    assert_eq!(title, "Complaint");
    for part in ["The valve drips.", "| Seal | 12_mm |"] {
        assert!(content.contains(part), "{part}: {content}");
    }
}

/// A DOCX file with other names of its parts.
fn renamed(file: Vec<u8>, names: &[(&str, &str)]) -> Vec<u8> {
    let mut source = ZipArchive::new(Cursor::new(file)).expect("an archive");
    let mut renamed = ZipWriter::new(Cursor::new(Vec::new()));
    for index in 0..source.len() {
        let mut part = source.by_index(index).expect("a part");
        let mut name = part.name().expect("a name").into_owned();
        let mut content = String::new();
        part.read_to_string(&mut content).expect("a text");
        for (from, to) in names {
            name = name.replace(from, to);
            content = content.replace(from, to);
        }
        renamed
            .start_file(name, SimpleFileOptions::default())
            .expect("a file");
        renamed.write_all(content.as_bytes()).expect("its content");
    }
    renamed.finish().expect("an archive").into_inner()
}

#[test]
fn the_parts_of_a_docx_file_are_found_whatever_their_names_are() {
    let body = paragraph("Heading1", "Complaint") + &paragraph("Normal", "The valve drips.");
    for names in [
        [
            ("document.xml", "document2.xml"),
            ("styles.xml", "styles2.xml"),
        ]
        .as_slice(),
        &[("word/", "content/"), ("styles.xml", "looks.xml")],
        &[
            ("word/document", "word/deep/text"),
            ("word/styles", "word/deep/styles"),
            ("word/_rels/document", "word/deep/_rels/text"),
        ],
    ] {
        let file = renamed(docx(&body), names);
        let Extracted { title, content, .. } = read(file, Format::Docx);
        assert_eq!(
            (title.as_str(), content.as_str()),
            ("Complaint", "The valve drips."),
            "{names:?}"
        );
    }
}

#[test]
fn a_docx_file_that_is_broken_or_encrypted_or_inflates_too_much_is_refused() {
    let mut file = docx(&paragraph("Normal", "Text."));
    file.truncate(file.len() / 2);
    assert!(matches!(
        extract(file, Format::Docx),
        Err(Reason::Broken(_))
    ));
    let compound = [b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1".as_slice(), &[0; 2_000]].concat();
    let reason = extract(compound.clone(), Format::Docx).expect_err("it is of an older format");
    assert!(reason.to_string().contains("save it as DOCX"), "{reason}");
    let stream = "EncryptedPackage".encode_utf16().flat_map(u16::to_le_bytes);
    let encrypted: Vec<u8> = compound.into_iter().chain(stream).collect();
    assert_eq!(extract(encrypted, Format::Docx), Err(Reason::Encrypted));
    let bomb = docx(&paragraph("Normal", &"a".repeat(300_000_000)));
    assert!(bomb.len() < 1_000_000);
    let reason = extract(bomb, Format::Docx).expect_err("it inflates too much");
    assert!(reason.to_string().contains("word/document.xml"), "{reason}");
}

#[test]
fn a_file_without_letters_or_digits_is_empty() {
    let cell = format!("<w:tc>{}</w:tc>", paragraph("Normal", ""));
    let table = format!("<w:tbl><w:tr>{cell}{cell}</w:tr></w:tbl>");
    for (bytes, format) in [
        (docx(&table), Format::Docx),
        (b"---\n\n***\n".to_vec(), Format::Markdown),
        (b"<p>&nbsp;</p><hr>".to_vec(), Format::Html),
    ] {
        assert_eq!(extract(bytes, format), Err(Reason::Empty), "{format:?}");
    }
}
