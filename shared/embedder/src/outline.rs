//! What a Markdown document's passages stand under: its headings, and the columns of its tables.

use std::ops::Range;

/// The headings and the long tables of a text, in the order in which they stand.
pub(super) struct Outline {
    headings: Vec<Heading>,
    tables: Vec<Table>,
}

/// A part of a text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// Its bytes.
    pub(super) range: Range<usize>,
    /// Whether it is a long table.
    pub(super) is_table: bool,
}

struct Heading {
    at: usize,
    /// From 1, the largest.
    level: usize,
    text: String,
}

struct Table {
    range: Range<usize>,
    /// Its first row, which names the columns.
    columns: String,
}

/// A line and where it begins.
type Line<'t> = (usize, &'t str);

/// Fewer rows stay in the text around them.
const LONG_TABLE: usize = 10;

/// Between the headings of a passage, from the largest on.
const BETWEEN: &str = " > ";

impl Outline {
    pub(super) fn of(text: &str) -> Self {
        let mut outline = Self {
            headings: Vec::new(),
            tables: Vec::new(),
        };
        let lines = lines(text);
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
                let text = text.to_owned();
                outline.headings.push(Heading { at, level, text });
            }
            next += 1;
        }
        outline
    }

    pub(super) fn has_headings(&self) -> bool {
        !self.headings.is_empty()
    }

    /// The text in parts, each a long table or what stands between two.
    pub(super) fn parts(&self, length: usize) -> Vec<Part> {
        let mut parts = Vec::new();
        let mut end = 0;
        for Table { range, .. } in &self.tables {
            parts.push((end..range.start, false));
            parts.push((range.clone(), true));
            end = range.end;
        }
        parts.push((end..length, false));
        parts.retain(|(range, _)| !range.is_empty());
        let part = |(range, is_table)| Part { range, is_table };
        parts.into_iter().map(part).collect()
    }

    /// The headings above what begins at a byte, and below them, within a table, its columns: as many of the innermost
    /// as `fit`.
    pub(super) fn heading(&self, at: usize, fit: impl Fn(&str) -> bool) -> String {
        let mut above: Vec<&Heading> = Vec::new();
        for heading in self.headings.iter().take_while(|heading| heading.at <= at) {
            above.retain(|outer| outer.level < heading.level);
            // A heading at the very place is part of what begins there.
            if heading.at < at {
                above.push(heading);
            }
        }
        let table = self
            .tables
            .iter()
            .find(|table| table.range.start < at && at < table.range.end);
        let columns = table.map(|table| table.columns.as_str());
        (0..=above.len())
            .map(|left_out| {
                let texts = above[left_out..].iter().map(|heading| &*heading.text);
                let path = texts.collect::<Vec<_>>().join(BETWEEN);
                let lines = [path.as_str(), columns.unwrap_or_default()];
                let lines = lines.into_iter().filter(|line| !line.is_empty());
                lines.collect::<Vec<_>>().join("\n")
            })
            .find(|heading| fit(heading))
            .unwrap_or_default()
    }

    /// The greatest size that a heading of this text has.
    pub(super) fn longest(&self, size: impl Fn(&str) -> usize) -> usize {
        let behind = |at: usize| self.heading(at, |_| true);
        let headings = self.headings.iter().map(|heading| heading.at + 1);
        let tables = self.tables.iter().map(|table| table.range.start + 1);
        let sizes = headings.chain(tables).map(|at| size(&behind(at)));
        sizes.max().unwrap_or_default()
    }
}

/// Lines with their ends, each with the byte that it begins at.
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

/// The table that begins with the first of these lines, if it is long, and its number of lines.
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

/// `|---|:---:|`: what Markdown has below the names of columns.
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
        // What begins with its own heading stands under the larger ones.
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
    fn a_short_table_stays_in_its_text() {
        let text = "avant\n| a | b |\n|---|---|\n| 1 | 2 |\naprès";
        assert_eq!(Outline::of(text).parts(text.len()).len(), 1);
    }
}
