//! The files of the console, embedded in the binary.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

/// A file that the page loads.
pub(crate) struct Asset {
    /// Its path below the folder of the version.
    pub(crate) name: &'static str,
    pub(crate) content: &'static str,
}

/// The page, with placeholders in double braces.
pub(crate) const PAGE: &str = include_str!("../site/index.html");

macro_rules! assets {
    ($($name:literal),+ $(,)?) => {
        &[$(Asset { name: $name, content: include_str!(concat!("../site/", $name)) }),+]
    };
}

/// The files that the page loads, in any order.
pub(crate) const ASSETS: &[Asset] = assets![
    "answer.js",
    "api.js",
    "app.js",
    "chat.js",
    "document.js",
    "documents.js",
    "dom.js",
    "facets.js",
    "files.js",
    "filter.js",
    "health.js",
    "hit.js",
    "i18n.js",
    "icon.svg",
    "imports.js",
    "json.js",
    "kept.js",
    "keys.js",
    "panel.js",
    "problem.js",
    "search.js",
    "session.js",
    "sources.js",
    "style.css",
    "tenants.js",
    "upload.js",
    "words/en.js",
    "words/fr.js",
];

impl Asset {
    /// Its media type.
    pub(crate) fn content_type(&self) -> &'static str {
        match self.name.rsplit_once('.') {
            Some((_, "js")) => "text/javascript; charset=utf-8",
            Some((_, "css")) => "text/css; charset=utf-8",
            Some((_, "svg")) => "image/svg+xml",
            _ => "text/plain; charset=utf-8",
        }
    }

    /// Whether the page needs it in every language.
    pub(crate) fn is_module(&self) -> bool {
        self.content_type().starts_with("text/javascript") && !self.name.starts_with("words/")
    }
}

/// A hash of all files, for their paths: browsers may cache them forever, and modules that import each other are
/// always of one build.
pub(crate) fn version() -> String {
    hash(ASSETS.iter().flat_map(|asset| [asset.name, asset.content]))
}

/// A short hash of texts.
pub(crate) fn hash<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    let mut hasher = Sha256::new();
    for text in texts {
        hasher.update(text);
        // Separates the texts.
        hasher.update([0]);
    }
    let digest = hasher.finalize();
    digest.iter().take(6).fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::Path};

    use super::*;

    /// The most bytes that a browser must load before the page is usable.
    const FIRST_LOAD: usize = 150_000;

    #[test]
    fn every_file_of_the_folder_is_in_the_binary() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("site");
        let mut found = BTreeSet::new();
        for part in ["", "words/"] {
            for entry in fs::read_dir(folder.join(part)).expect("the folder is there") {
                let entry = entry.expect("the folder can be read");
                if entry.file_type().is_ok_and(|kind| kind.is_file()) {
                    found.insert(format!("{part}{}", entry.file_name().display()));
                }
            }
        }
        assert!(found.remove("index.html"));
        let known: BTreeSet<String> = ASSETS.iter().map(|asset| asset.name.to_owned()).collect();
        assert_eq!(found, known);
    }

    #[test]
    fn the_first_load_is_small() {
        let (words, others): (Vec<&Asset>, Vec<&Asset>) = ASSETS
            .iter()
            .partition(|asset| asset.name.starts_with("words/"));
        let bytes: usize = others.iter().map(|asset| asset.content.len()).sum();
        // A browser loads one language.
        let longest = words.iter().map(|asset| asset.content.len()).max();
        let first_load = PAGE.len() + bytes + longest.unwrap_or_default();
        assert!(first_load <= FIRST_LOAD, "{first_load} bytes");
    }

    #[test]
    fn nothing_is_parsed_as_html_and_no_script_or_style_is_inline() {
        for asset in ASSETS {
            for sink in [
                "innerHTML",
                "outerHTML",
                "insertAdjacentHTML",
                "document.write",
                "eval(",
                "new Function",
                ".cssText",
                "setAttribute('style'",
            ] {
                assert!(!asset.content.contains(sink), "{}: {sink}", asset.name);
            }
        }
        assert!(!PAGE.contains("<style") && !PAGE.contains(" style=") && !PAGE.contains(" on"));
        let scripts = PAGE.matches("<script").count();
        assert_eq!(scripts, PAGE.matches("src=\"{{assets}}").count());
    }

    /// The keys of the texts of a language.
    fn names(asset: &Asset) -> BTreeSet<&'static str> {
        let lines = asset
            .content
            .lines()
            .filter_map(|line| line.split_once(": '"));
        lines
            .map(|(name, _)| name.trim().trim_matches('\''))
            .collect()
    }

    #[test]
    fn every_language_has_every_word_and_no_other() {
        let mut languages = ASSETS
            .iter()
            .filter(|asset| asset.name.starts_with("words/"));
        let english = names(languages.next().expect("there is English"));
        assert!(english.len() > 100, "{english:?}");
        for language in languages {
            assert_eq!(names(language), english, "{}", language.name);
        }
        // Of names that are put together, the words of a language are looked at in the browser.
        for asset in ASSETS.iter().filter(|asset| asset.is_module()) {
            for call in asset.content.split(" t('").skip(1) {
                let name = call.split('\'').next().unwrap_or_default();
                assert!(english.contains(name), "{}: {name}", asset.name);
            }
        }
    }
}
