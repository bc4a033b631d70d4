//! Texts in Windows-1252, in which Excel writes CSV in Western Europe, and in which editors wrote before UTF-8.

use std::{
    borrow::Cow,
    io::{self, BufRead, Cursor, Read},
    mem,
    ops::RangeInclusive,
};

use encoding_rs::WINDOWS_1252;

use super::{
    format::HEAD,
    peek::{buffered, peek},
};

/// Letters beyond ASCII of the languages of Western Europe. The others of Windows-1252 stand where Cyrillic, Greek, Turkish and
/// Central European encodings have frequent letters.
const LETTERS: &str = "ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÑÒÓÔÕÖØÙÚÛÜßàáâãäåæçèéêëìíîïñòóôõöøùúûüŒœŸ";

/// Letters of Central European languages, and of Turkish.
const CENTRAL: RangeInclusive<char> = '\u{100}'..='\u{17f}';

/// Greek, Cyrillic, Armenian, Hebrew and Arabic letters.
const EASTERN: RangeInclusive<char> = '\u{370}'..='\u{6ff}';

/// Marks that may stand between two letters.
const WITHIN: &str = "’‘´·–—…°\u{a0}\u{ad}";

/// One of so many characters may be unusual.
const UNUSUAL: usize = 20;

/// A text in Windows-1252 as UTF-8; `None` if it looks like another encoding, which would give wrong letters.
#[must_use]
pub fn western(text: &[u8]) -> Option<String> {
    if !is_western(text) {
        return None;
    }
    let mut utf8 = Vec::with_capacity(text.len());
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        utf8.extend_from_slice(&decoded(line));
    }
    String::from_utf8(utf8).ok()
}

/// A source as UTF-8 if it looks like Windows-1252. The first bytes that are not ASCII tell, wherever they are.
pub(super) fn recognised(text: Box<dyn BufRead + Send>) -> Box<dyn BufRead + Send> {
    buffered(Box::new(Recognised {
        text,
        ascii: Some(Vec::new()),
    }))
}

struct Recognised {
    text: Box<dyn BufRead + Send>,
    /// The last bytes of a text that is ASCII so far.
    ascii: Option<Vec<u8>>,
}

impl Read for Recognised {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Some(before) = &mut self.ascii {
            let ahead = self.text.fill_buf()?;
            let end = ahead.len().min(buffer.len());
            let other = ahead[..end].iter().position(|byte| !byte.is_ascii());
            let count = other.unwrap_or(end);
            if count > 0 || end == 0 {
                buffer[..count].copy_from_slice(&ahead[..count]);
                // As many as are judged behind them, however the source returns them: the same file is read alike.
                before.extend_from_slice(&ahead[count.saturating_sub(HEAD)..count]);
                before.drain(..before.len().saturating_sub(HEAD));
                self.text.consume(count);
                return Ok(count);
            }
            let before = mem::take(before);
            self.ascii = None;
            let text = mem::replace(&mut self.text, Box::new(io::empty()));
            self.text = judged(before, text)?;
        }
        self.text.read(buffer)
    }
}

/// The rest of a text behind some ASCII, decoded if it looks like Windows-1252.
fn judged(
    mut before: Vec<u8>,
    text: Box<dyn BufRead + Send>,
) -> io::Result<Box<dyn BufRead + Send>> {
    let (head, text) = peek(text, HEAD)?;
    before.extend_from_slice(whole_lines(&head));
    if !is_western(&before) {
        return Ok(text);
    }
    let line = Cursor::new(Vec::new());
    Ok(buffered(Box::new(Decoded { text, line })))
}

/// The first bytes of a text without the line that they end in, unless there is no other: a character may be cut.
fn whole_lines(head: &[u8]) -> &[u8] {
    let end = head.iter().rposition(|byte| *byte == b'\n');
    match end {
        Some(end) if head.len() >= HEAD => &head[..end],
        _ => head,
    }
}

/// Decodes Windows-1252 line by line.
struct Decoded {
    text: Box<dyn BufRead + Send>,
    line: Cursor<Vec<u8>>,
}

impl Read for Decoded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.line.read(buffer)?;
        if count > 0 || buffer.is_empty() {
            return Ok(count);
        }
        let mut line = Vec::new();
        let mut part = self.text.by_ref().take(HEAD as u64);
        part.read_until(b'\n', &mut line)?;
        // A long line, of which this is a part, is not cut within a character of UTF-8.
        while !line.ends_with(b"\n") && line.len() < HEAD + 3 {
            match self.text.fill_buf()?.first().copied() {
                Some(byte @ 0x80..=0xbf) => line.push(byte),
                _ => break,
            }
            self.text.consume(1);
        }
        self.line = Cursor::new(decoded(&line).into_owned());
        self.line.read(buffer)
    }
}

/// A line of a text in Windows-1252. Files that were joined may have others in UTF-8, which stay as they are, and are refused if
/// letters of them are damaged.
fn decoded(line: &[u8]) -> Cow<'_, [u8]> {
    let is_kept = if let Ok(text) = str::from_utf8(line) {
        is_written(text)
    } else {
        let (valid, invalid) = in_utf8(line, is_letter);
        valid > invalid
    };
    if is_kept {
        return Cow::Borrowed(line);
    }
    let (text, _) = WINDOWS_1252.decode_without_bom_handling(line);
    Cow::Owned(text.into_owned().into_bytes())
}

/// Whether a line that is UTF-8 was written so. Two characters of Windows-1252 side by side may happen to be one, as `É»` is: a
/// capital letter at the end of a word and a mark.
fn is_written(text: &str) -> bool {
    let mut others = text.chars().filter(|other| !other.is_ascii());
    let Some(first) = others.next() else {
        return true;
    };
    if is_expected(first) || others.any(is_letter) {
        return true;
    }
    // A letter of a name, as in `Škoda` and `Tomaš`, is within a word.
    CENTRAL.contains(&first)
        && text.split_once(first).is_some_and(|(before, after)| {
            before.ends_with(char::is_lowercase) || after.starts_with(char::is_alphabetic)
        })
}

/// Whether Western Europe writes a character of UTF-8, or it is one of three bytes or more, which hardly is one by chance.
fn is_expected(character: char) -> bool {
    character.len_utf8() != 2 || character < '\u{c0}' || LETTERS.contains(character)
}

/// Whether Europe or its neighbours write it.
fn is_letter(character: char) -> bool {
    is_expected(character) || CENTRAL.contains(&character) || EASTERN.contains(&character)
}

/// Whether a text is UTF-8, in spite of some damaged letters: most of those beyond ASCII are whole.
#[must_use]
pub fn is_damaged_utf8(text: &[u8]) -> bool {
    let (valid, invalid) = in_utf8(text, |_| true);
    valid > invalid
}

/// How many characters beyond ASCII a text has in UTF-8 that count, and how many pieces that are none.
fn in_utf8(text: &[u8], counts: impl Fn(char) -> bool) -> (usize, usize) {
    let (mut valid, mut invalid) = (0, 0);
    for chunk in text.utf8_chunks() {
        let others = chunk.valid().chars().filter(|other| !other.is_ascii());
        valid += others.filter(|other| counts(*other)).count();
        invalid += usize::from(!chunk.invalid().is_empty());
    }
    (valid, invalid)
}

/// Whether a text, of whole lines, is not UTF-8 and has the letters of Western Europe in Windows-1252, fewer than ASCII's.
fn is_western(text: &[u8]) -> bool {
    // Two letters side by side may happen to be one in UTF-8, but few are.
    let (valid, invalid) = in_utf8(text, |_| true);
    if invalid <= 4 * valid {
        return false;
    }
    let (text, _) = WINDOWS_1252.decode_without_bom_handling(text);
    let (mut ascii, mut letters, mut others, mut unusual) = (0, 0, 0, 0);
    let mut before = ' ';
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        // Of no text, or of another encoding: Windows-1252 has no such characters. Those of ASCII programs write, such as
        // FileMaker a vertical tab for a line break.
        if character == '\0' || ('\u{80}'..'\u{a0}').contains(&character) {
            return false;
        }
        if character.is_ascii() {
            ascii += usize::from(character.is_alphabetic());
        } else {
            let after = characters.peek().copied().unwrap_or(' ');
            others += 1;
            letters += usize::from(character.is_alphabetic());
            unusual += usize::from(!is_usual(before, character, after));
        }
        before = character;
    }
    letters < ascii && UNUSUAL * unusual <= others
}

/// Whether Western European texts have a character, which is not ASCII, between two others.
fn is_usual(before: char, character: char, after: char) -> bool {
    let is_other = |letter: char| !letter.is_ascii() && letter.is_alphabetic();
    match character {
        // Czech has another letter there, and Hungarian.
        'ì' | 'Ì' => !after.is_alphabetic(),
        'õ' | 'Õ' => after.eq_ignore_ascii_case(&'e'),
        'ª' | 'º' | 'µ' => !(before.is_alphabetic() && after.is_alphabetic()),
        // Three side by side, as in all words of another alphabet, are hardly in any of this one.
        _ if character.is_alphabetic() => {
            LETTERS.contains(character) && !(is_other(before) && is_other(after))
        }
        _ => WITHIN.contains(character) || !(before.is_alphabetic() && after.is_alphabetic()),
    }
}

#[cfg(test)]
mod tests {
    use encoding_rs::{
        Encoding, SHIFT_JIS, WINDOWS_1250, WINDOWS_1251, WINDOWS_1253, WINDOWS_1254,
    };

    use super::*;

    fn encoded(text: &str, encoding: &'static Encoding) -> Vec<u8> {
        let (bytes, _, has_errors) = encoding.encode(text);
        assert!(!has_errors, "{text}");
        bytes.into_owned()
    }

    #[test]
    fn texts_of_western_europe_are_read() {
        for text in [
            "L’été, à Évian : 12 € — «\u{a0}déjà vu\u{a0}» n°7, cœur…",
            "Die Straße führt über größere Brücken.",
            "¿Dónde está la señora? El piso 3º, mañana.",
            "As situações são difíceis; não há soluções.",
            "Così è più città, lunedì.",
            "Æblegrød på øen, få år.",
            "It’s “quoted” – with typographic marks only.",
            "Une idée créée, la fée.",
            "Une écluse,\u{b}de l’été dernier.",
        ] {
            let bytes = encoded(text, WINDOWS_1252);
            assert_eq!(western(&bytes).as_deref(), Some(text));
        }
    }

    #[test]
    fn texts_in_other_encodings_are_not() {
        for (text, encoding) in [
            ("Zażółć gęślą jaźń, może było.", WINDOWS_1250),
            ("Příliš žluťoučký kůň a některé věci.", WINDOWS_1250),
            ("Az idő és a nő ősszel.", WINDOWS_1250),
            ("Это документ в старой кодировке.", WINDOWS_1251),
            ("id;content;Документ с таблицей", WINDOWS_1251),
            ("id;content\n0;Many plain rows.\n1;Иванов", WINDOWS_1251),
            ("Το κείμενο είναι στα ελληνικά.", WINDOWS_1253),
            ("Türkçe yazı, değişik şeyler.", WINDOWS_1254),
            ("id,content 日本語の文書です。", SHIFT_JIS),
        ] {
            assert_eq!(western(&encoded(text, encoding)), None, "{text}");
        }
        for bytes in [
            "déjà".as_bytes(),
            b"d\xc3\xa9j\xc3\xa0, and a damaged \xe9 letter".as_slice(),
            b"plain",
            b"\xe9t\xe9",
            b"binary \x00\xe9 data",
        ] {
            assert_eq!(western(bytes), None, "{bytes:?}");
        }
    }
}
