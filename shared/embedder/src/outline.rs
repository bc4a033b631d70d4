//! The context of a Markdown document's passages: headings, and columns of tables.

use std::ops::Range;

/// The headings and long tables of a text, in order.
pub(super) struct Outline {
    headings: Vec<Heading>,
    tables: Vec<Table>,
}

/// A part of a text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TextSection {
    /// Byte range.
    pub(super) range: Range<usize>,
    /// Whether it is a long table.
    pub(super) is_table: bool,
}

struct Heading {
    at: usize,
    /// From 1, the largest.
    level: usize,
    text: String,
    /// The index of the heading above it.
    outer: Option<usize>,
}

struct Table {
    range: Range<usize>,
    /// Its first row, which names the columns.
    columns: String,
}

/// A line and its start.
type Line<'t> = (usize, &'t str);

/// Tables with fewer rows stay in the text.
const LONG_TABLE: usize = 10;

/// The separator of a passage's headings, largest first.
const BETWEEN: &str = " > ";

impl Outline {
    pub(super) fn of(text: &str) -> Self {
        let mut outline = Self {
            headings: Vec::new(),
            tables: Vec::new(),
        };
        let lines = lines(text);
        // The headings, by their indexes, of the sections that the line is in.
        let mut open = Vec::new();
        let mut fenced = false;
        let mut next = 0;
        while let Some((at, line)) = lines.get(next).copied() {
            let trimmed = line.trim_start();
            if trimmed.starts_with("```") || trimmed.starts_with("~~~") {
                fenced = !fenced;
            }
            let table = if fenced { None } else { table(&lines[next..]) };
            if let Some((table, rows)) = table {
                outline.tables.push(table);
                next += rows;
                continue;
            }
            if !fenced && let Some((level, text)) = heading(line) {
                open.retain(|outer: &usize| outline.headings[*outer].level < level);
                let outer = open.last().copied();
                open.push(outline.headings.len());
                outline.headings.push(Heading {
                    at,
                    level,
                    text: text.to_owned(),
                    outer,
                });
            }
            next += 1;
        }
        outline
    }

    pub(super) fn has_headings(&self) -> bool {
        !self.headings.is_empty()
    }

    /// The parts of the text: long tables and the text between them.
    pub(super) fn parts(&self, length: usize) -> Vec<TextSection> {
        let mut parts = Vec::new();
        let mut end = 0;
        for Table { range, .. } in &self.tables {
            parts.push((end..range.start, false));
            parts.push((range.clone(), true));
            end = range.end;
        }
        parts.push((end..length, false));
        parts.retain(|(range, _)| !range.is_empty());
        let part = |(range, is_table)| TextSection { range, is_table };
        parts.into_iter().map(part).collect()
    }

    /// The headings above a byte, then, within a table, its columns: as many of the innermost ones as `fit`, and if the columns
    /// do not, only the headings.
    pub(super) fn heading(&self, at: usize, fit: impl Fn(&str) -> bool) -> String {
        let mut above = Vec::new();
        let mut next = self.innermost(at);
        while let Some(heading) = next.map(|index| &self.headings[index]) {
            above.push(heading.text.as_str());
            next = heading.outer;
        }
        above.reverse();
        let table = self
            .tables
            .iter()
            .find(|table| table.range.start < at && at < table.range.end);
        let columns = table.map_or("", |table| table.columns.as_str());
        // The columns of a wide table may not fit even alone.
        let lines = [columns, ""];
        let levels = lines
            .iter()
            .flat_map(|columns| (0..=above.len()).map(move |left_out| (*columns, left_out)));
        levels
            .map(|(columns, left_out)| {
                let path = above[left_out..].join(BETWEEN);
                let lines = [path.as_str(), columns].into_iter();
                let lines = lines.filter(|line| !line.is_empty());
                lines.collect::<Vec<_>>().join("\n")
            })
            .find(|heading| fit(heading))
            .unwrap_or_default()
    }

    /// The index of the heading of the section that a byte is in. A heading at this very byte is part of the passage.
    fn innermost(&self, at: usize) -> Option<usize> {
        let until = self.headings.partition_point(|heading| heading.at <= at);
        let last = until.checked_sub(1)?;
        let heading = &self.headings[last];
        if heading.at < at {
            Some(last)
        } else {
            heading.outer
        }
    }

    /// The largest heading size of this text.
    pub(super) fn longest(&self, size: impl Fn(&str) -> usize) -> usize {
        let behind = |at: usize| self.heading(at, |_| true);
        let headings = self.headings.iter().map(|heading| heading.at + 1);
        let tables = self.tables.iter().map(|table| table.range.start + 1);
        let sizes = headings.chain(tables).map(|at| size(&behind(at)));
        sizes.max().unwrap_or_default()
    }
}

/// Lines with their ends, each with its first byte.
fn lines(text: &str) -> Vec<Line<'_>> {
    let mut end = 0;
    let line = |line: &'_ str| {
        let start = end;
        end += line.len();
        start
    };
    let starts: Vec<usize> = text.split_inclusive('\n').map(line).collect();
    starts.into_iter().zip(text.split_inclusive('\n')).collect()
}

/// One to six `#`, a blank, and the heading's text.
fn heading(line: &str) -> Option<(usize, &str)> {
    let level = line.len() - line.trim_start_matches('#').len();
    let text = line[level..].strip_prefix(' ')?.trim();
    ((1..=6).contains(&level) && !text.is_empty()).then_some((level, text))
}

/// The long table that starts with the first of these lines, if any, and its number of lines.
fn table(lines: &[Line]) -> Option<(Table, usize)> {
    let [(start, first), (_, second), ..] = lines else {
        return None;
    };
    if !first.contains('|') || !is_separator(second) {
        return None;
    }
    let rows = lines
        .iter()
        .take_while(|(_, line)| line.contains('|'))
        .count();
    let (last, line) = lines[rows - 1];
    let table = Table {
        range: *start..last + line.len(),
        columns: first.trim().to_owned(),
    };
    (rows >= LONG_TABLE).then_some((table, rows))
}

/// `|---|:---:|`: Markdown's line below the names of columns.
fn is_separator(line: &str) -> bool {
    let line = line.trim();
    line.contains('|')
        && line.contains('-')
        && line.chars().all(|c| matches!(c, '|' | '-' | ':' | ' '))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANUAL: &str = "# Pompe\nintro\n## Entretien\n### Filtre\nrincer\n## Pannes\nbruit\n";

    fn heading_at(text: &str, place: &str) -> String {
        let at = text.find(place).expect("the text has the place");
        Outline::of(text).heading(at, |_| true)
    }

    #[test]
    fn a_heading_is_a_line_of_its_own_with_a_blank_behind_the_marks() {
        for (content, has_heading) in [
            ("# Titre\ntexte", true),
            ("texte\n\n### Sous-titre", true),
            ("#hashtag et suite", false),
            ("####### sept", false),
            ("le n° # 3", false),
            ("```\n# commentaire\n```", false),
            ("", false),
        ] {
            assert_eq!(
                Outline::of(content).has_headings(),
                has_heading,
                "{content:?}"
            );
        }
    }

    #[test]
    fn a_passage_stands_under_its_sections_and_not_under_those_before_them() {
        assert_eq!(heading_at(MANUAL, "intro"), "Pompe");
        assert_eq!(heading_at(MANUAL, "rincer"), "Pompe > Entretien > Filtre");
        assert_eq!(heading_at(MANUAL, "bruit"), "Pompe > Pannes");
        // A passage with its own heading is below larger ones.
        assert_eq!(heading_at(MANUAL, "## Pannes"), "Pompe");
    }

    #[test]
    fn the_outer_headings_go_first_where_not_all_fit() {
        let at = MANUAL.find("rincer").expect("it is there");
        let outline = Outline::of(MANUAL);
        assert_eq!(
            outline.heading(at, |heading| heading.len() <= 20),
            "Entretien > Filtre"
        );
        assert_eq!(outline.heading(at, |heading| heading.len() <= 3), "");
        assert_eq!(
            outline.longest(str::len),
            "Pompe > Entretien > Filtre".len()
        );
    }

    #[test]
    fn as_many_headings_as_a_document_can_have_take_no_minutes() {
        let text = "# a\n## b\nc\n".repeat(100_000);
        let outline = Outline::of(&text);
        assert_eq!(outline.longest(str::len), "a > b".len());
        assert_eq!(outline.heading(text.len() - 2, |_| true), "a > b");
    }

    #[test]
    fn a_long_table_is_a_part_whose_rows_stand_under_its_columns() {
        let rows: Vec<String> = (0..20).map(|n| format!("| pièce {n} | {n} |\n")).collect();
        let rows = rows.concat();
        let text = format!("# Stock\navant\n\n| Nom | Prix |\n|---|---:|\n{rows}\naprès\n");
        let parts = Outline::of(&text).parts(text.len());
        let tables: Vec<bool> = parts.iter().map(|part| part.is_table).collect();
        assert_eq!(tables, [false, true, false]);
        assert!(text[parts[1].range.clone()].starts_with("| Nom |"));
        assert_eq!(text[parts[2].range.clone()].trim(), "après");
        assert_eq!(heading_at(&text, "| pièce 7 "), "Stock\n| Nom | Prix |");
        assert_eq!(heading_at(&text, "après"), "Stock");
    }

    #[test]
    fn a_row_under_columns_that_do_not_fit_keeps_its_headings() {
        let text = format!(
            "# Stock\n\n| Nom | {} |\n|---|---|\n{}",
            "Prix ".repeat(50),
            "| pièce | 1 |\n".repeat(20)
        );
        let at = text.rfind("| pièce").expect("it is there");
        let heading = Outline::of(&text).heading(at, |heading| heading.len() <= 20);
        assert_eq!(heading, "Stock");
    }

    #[test]
    fn a_short_table_stays_in_its_text() {
        let text = "avant\n| a | b |\n|---|---|\n| 1 | 2 |\naprès";
        assert_eq!(Outline::of(text).parts(text.len()).len(), 1);
    }
}
