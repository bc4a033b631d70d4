//! Texts of hits with the question's words marked.

use std::io;

use serde_json::Value;

use crate::terminal::{Out, Style};

/// A part of a text.
#[derive(Debug, Default, Eq, PartialEq)]
struct Piece {
    text: String,
    is_marked: bool,
}

/// Prints the beginning of a text on one line; `ranges` as in the `highlights` of a hit, and `style` for what is between.
pub(crate) fn print(
    out: &mut Out,
    style: Option<Style>,
    text: &str,
    ranges: &Value,
    most: usize,
) -> io::Result<()> {
    for piece in pieces(text, ranges, most) {
        let style = if piece.is_marked {
            Some(Style::Mark)
        } else {
            style
        };
        match style {
            Some(style) => out.styled(style, &piece.text)?,
            None => io::Write::write_all(out, piece.text.as_bytes())?,
        }
    }
    Ok(())
}

/// The pieces of at most `most` characters, with each run of white space as one blank.
fn pieces(text: &str, ranges: &Value, most: usize) -> Vec<Piece> {
    let number = |value: &Value| {
        value
            .as_u64()
            .and_then(|number| usize::try_from(number).ok())
    };
    let ranges: Vec<_> = ranges
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|range| Some(number(&range["start"])?..number(&range["end"])?))
        .collect();
    let is_marked = |at: usize| ranges.iter().any(|range| range.contains(&at));
    let mut pieces: Vec<Piece> = Vec::new();
    let mut push = |character: char, is_marked: bool| match pieces.last_mut() {
        Some(piece) if piece.is_marked == is_marked => piece.text.push(character),
        _ => pieces.push(Piece {
            text: character.into(),
            is_marked,
        }),
    };
    let mut length = 0;
    let mut blank = None;
    for (at, character) in text.chars().enumerate() {
        if character.is_whitespace() {
            blank = Some(at).filter(|_| length > 0);
            continue;
        }
        for (character, at) in blank
            .take()
            .map(|at| (' ', at))
            .into_iter()
            .chain([(character, at)])
        {
            if length == most {
                push('…', false);
                return pieces;
            }
            push(character, is_marked(at));
            length += 1;
        }
    }
    pieces
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(text: &str, ranges: &Value, most: usize) -> String {
        let piece = |piece: Piece| {
            if piece.is_marked {
                format!("[{}]", piece.text)
            } else {
                piece.text
            }
        };
        pieces(text, ranges, most).into_iter().map(piece).collect()
    }

    #[test]
    fn words_stay_marked_where_white_space_is_folded_and_the_text_is_cut() {
        let ranges = json!([{ "start": 5, "end": 9 }, { "start": 13, "end": 17 }]);
        for (text, most, expected) in [
            ("  Le bail\n\nà ét\té  dû", 100, "Le [bail] à [ét é] dû"),
            ("  Le bail\n\nà ét\té  dû", 5, "Le [ba]…"),
            ("  Le ", 100, "Le"),
            ("👩‍👩é bail", 100, "👩‍👩é [bail]"),
            ("", 100, ""),
        ] {
            assert_eq!(shown(text, &ranges, most), expected, "{text:?}");
        }
        assert_eq!(shown("Le bail", &Value::Null, 100), "Le bail");
    }
}
