//! The names of a DOCX file's parts.
//!
//! Relationships say where the text, its styles and its notes are: Word Online writes `word/document2.xml`. `undoc` reads
//! them by the names that Word gives them, so parts with other names are renamed before.

use std::{
    collections::HashSet,
    io::{Cursor, Seek, Write},
};

use undoc::OoxmlContainer;
use zip::{ZipArchive, ZipWriter, result::ZipResult};

/// The folder and the name of the part with the text.
const FOLDER: &str = "word/";
const MAIN: &str = "document.xml";

/// Other parts that are read by their names: the ends of their relationships' types.
const OTHERS: [(&str, &str); 4] = [
    ("/styles", "styles.xml"),
    ("/numbering", "numbering.xml"),
    ("/footnotes", "footnotes.xml"),
    ("/endnotes", "endnotes.xml"),
];

/// The file with the names that Word gives to its parts; unchanged if it has these, or cannot be read.
pub(super) fn renamed(bytes: Vec<u8>) -> Vec<u8> {
    let Some(names) = Names::of(&bytes) else {
        return bytes;
    };
    names.written(&bytes).unwrap_or(bytes)
}

/// The names of parts, and those that they should have.
struct Names {
    /// The folder of the part with the text, with its slash; empty for the root.
    folder: String,
    renamed: Vec<(String, String)>,
}

impl Names {
    /// `None` if the parts have the right names already.
    fn of(bytes: &[u8]) -> Option<Self> {
        let container = OoxmlContainer::from_bytes(bytes.to_vec()).ok()?;
        let package = container.read_package_relationships().ok()?;
        let main = package
            .by_id
            .values()
            .find(|one| one.rel_type.ends_with("/officeDocument") && !one.external)?;
        let main = main.target.trim_start_matches('/');
        let (folder, name) = main.split_at(main.rfind('/').map_or(0, |slash| slash + 1));
        let mut renamed = vec![
            (main.to_owned(), format!("{FOLDER}{MAIN}")),
            (
                format!("{folder}_rels/{name}.rels"),
                format!("{FOLDER}_rels/{MAIN}.rels"),
            ),
        ];
        let parts = container.read_optional_relationships_for_part(main).ok()?;
        for part in parts.by_id.values().filter(|part| !part.external) {
            let other = OTHERS.iter().find(|(end, _)| part.rel_type.ends_with(end));
            if let Some((_, name)) = other {
                let path = OoxmlContainer::resolve_path(main, &part.target);
                let path = path.trim_start_matches('/').to_owned();
                renamed.push((path, format!("{FOLDER}{name}")));
            }
        }
        renamed.retain(|(from, to)| from != to);
        let folder = folder.to_owned();
        (!renamed.is_empty()).then_some(Self { folder, renamed })
    }

    fn written(&self, bytes: &[u8]) -> ZipResult<Vec<u8>> {
        let mut archive = ZipArchive::new(Cursor::new(bytes))?;
        let mut file = ZipWriter::new(Cursor::new(Vec::with_capacity(bytes.len())));
        let mut taken = HashSet::new();
        // First, because another part may have such a name.
        for (from, to) in &self.renamed {
            if let Some(index) = archive.index_for_name(from)
                && taken.insert(to.clone())
            {
                copy(&mut archive, index, &mut file, to)?;
            }
        }
        for index in 0..archive.len() {
            let name = archive.by_index_raw(index)?.name()?.into_owned();
            if self.renamed.iter().any(|(from, _)| *from == name) {
                continue;
            }
            let name = self.moved(name);
            if taken.insert(name.clone()) {
                copy(&mut archive, index, &mut file, &name)?;
            }
        }
        Ok(file.finish()?.into_inner())
    }

    /// The name of another part: headers and charts are found from the folder of the text.
    fn moved(&self, name: String) -> String {
        let is_elsewhere = ["_rels/", "docProps/", FOLDER, "[Content_Types].xml"]
            .iter()
            .any(|start| name.starts_with(start));
        match name.strip_prefix(&self.folder) {
            Some(rest) if !is_elsewhere => format!("{FOLDER}{rest}"),
            _ => name,
        }
    }
}

/// Copies a part as it is compressed.
fn copy<W: Write + Seek>(
    archive: &mut ZipArchive<Cursor<&[u8]>>,
    index: usize,
    file: &mut ZipWriter<W>,
    name: &str,
) -> ZipResult<()> {
    let part = archive.by_index_raw(index)?;
    file.raw_copy_file_rename(part, name)
}
