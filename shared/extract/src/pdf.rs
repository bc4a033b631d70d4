//! The text of a PDF file, page by page.

mod layout;

use hayro_interpret::{
    BlendMode, ClipPath, Context, Device, DrawMode, DrawProps, Image, ImageDrawProps,
    InterpreterCache, InterpreterSettings, RenderContent, SoftMask,
    font::{Glyph, GlyphRun},
    hayro_cmap::BfString,
    hayro_syntax::{DecryptionError, LoadPdfError, Pdf, object::DateTime, page::Page},
    interpret_page,
    kurbo::{Affine, BezPath, Point, Rect},
};
use serde_json::{Map, Value};

use self::layout::{Layout, Placed};
use crate::{Extracted, MAX_CHARACTERS, MAX_PAGES, Reason};

/// Reads a PDF file. A file that is encrypted and opens without a password is read.
pub(super) fn extract(bytes: Vec<u8>) -> Result<Extracted, Reason> {
    let pdf = Pdf::new(bytes).map_err(|error| match error {
        LoadPdfError::Decryption(DecryptionError::PasswordProtected) => Reason::Encrypted,
        LoadPdfError::Decryption(_) => {
            Reason::Broken("it is encrypted in a way that cannot be read".to_owned())
        }
        LoadPdfError::Invalid => Reason::Broken("it is not a valid PDF file".to_owned()),
    })?;
    let count = pdf.pages().len();
    if count == 0 {
        return Err(Reason::Broken("it has no pages".to_owned()));
    }
    if count > MAX_PAGES {
        return Err(Reason::Large(format!("it has {count} pages")));
    }
    let cache = InterpreterCache::new();
    let mut text = Text::default();
    for page in pdf.pages().iter() {
        text.page(page, &cache)?;
    }
    text.extracted(&pdf)
}

/// What has been read so far.
#[derive(Default)]
struct Text {
    content: String,
    characters: usize,
    /// Where each page begins in the content, in characters.
    starts: Vec<usize>,
    /// Glyphs that stand for characters, and those of which nothing says for which.
    read: usize,
    unread: usize,
}

impl Text {
    fn page<'a>(&mut self, page: &Page<'a>, cache: &InterpreterCache<'a>) -> Result<(), Reason> {
        let (width, height) = page.render_dimensions();
        let bounds = Rect::new(0.0, 0.0, f64::from(width), f64::from(height));
        let transform = page.initial_transform(true).as_coeffs();
        let settings = InterpreterSettings {
            render_content: RenderContent::PAGE,
            ..InterpreterSettings::default()
        };
        let mut context =
            Context::new(Affine::new(transform), bounds, cache, page.xref(), settings);
        let mut glyphs = Glyphs {
            layout: Layout::default(),
            read: 0,
            unread: 0,
        };
        interpret_page(page, &mut context, &mut glyphs);
        self.read += glyphs.read;
        self.unread += glyphs.unread;
        let text = glyphs.layout.finish();
        if !self.content.is_empty() && !text.is_empty() {
            self.content.push_str("\n\n");
            self.characters += 2;
        }
        self.starts.push(self.characters);
        self.characters += text.chars().count();
        if self.characters > MAX_CHARACTERS {
            return Err(Reason::Large(format!(
                "its text has more than {MAX_CHARACTERS} characters"
            )));
        }
        self.content.push_str(&text);
        Ok(())
    }

    fn extracted(self, pdf: &Pdf) -> Result<Extracted, Reason> {
        if self.read == 0 && self.unread == 0 {
            return Err(Reason::Scanned);
        }
        if self.read < self.unread {
            return Err(Reason::Unreadable);
        }
        let info = pdf.metadata();
        let mut metadata = Map::new();
        for (key, bytes) in [
            ("author", info.author.as_deref()),
            ("subject", info.subject.as_deref()),
        ] {
            if let Some(text) = bytes.and_then(string) {
                metadata.insert(key.to_owned(), text.into());
            }
        }
        if let Some(created) = info.creation_date.as_ref().and_then(date) {
            metadata.insert("created".to_owned(), created.into());
        }
        metadata.insert("page_starts".to_owned(), Value::from(self.starts));
        Ok(Extracted {
            title: info.title.as_deref().and_then(string).unwrap_or_default(),
            content: self.content,
            metadata,
        })
    }
}

/// Collects the glyphs of a page.
struct Glyphs {
    layout: Layout,
    read: usize,
    unread: usize,
}

impl<'a> Device<'a> for Glyphs {
    fn draw_glyph_run(&mut self, run: &GlyphRun<'_, 'a>, props: DrawProps<'a>, mode: &DrawMode) {
        // What is both filled and stroked comes twice; an outline alone is rare.
        if matches!(mode, DrawMode::Stroke(_)) {
            return;
        }
        for positioned in run.glyphs() {
            let glyph: &Glyph<'a> = positioned;
            let Some(text) = glyph.as_unicode() else {
                self.unread += 1;
                continue;
            };
            self.read += 1;
            let width = match glyph {
                Glyph::Outline(glyph) => glyph.advance_width(),
                Glyph::Type3(glyph) => glyph.advance_width(),
            };
            let place = props.transform * positioned.transform();
            let origin = place * Point::ORIGIN;
            let end = place * Point::new(f64::from(width.unwrap_or_default()), 0.0);
            let up = place * Point::new(0.0, 1000.0);
            self.layout.add(&Placed {
                text: match &text {
                    BfString::Char(character) => character.to_string(),
                    BfString::String(text) => text.clone(),
                },
                origin,
                end,
                size: (up - origin).hypot(),
            });
        }
    }

    fn draw_path(&mut self, _: &BezPath, _: DrawProps<'a>, _: &DrawMode) {}
    fn push_clip_path(&mut self, _: &ClipPath) {}
    fn push_transparency_group(&mut self, _: f32, _: Option<SoftMask<'a>>, _: BlendMode) {}
    fn draw_image(&mut self, _: Image<'a, '_>, _: ImageDrawProps<'a>) {}
    fn pop_clip(&mut self) {}
    fn pop_transparency_group(&mut self) {}
}

/// A text string of the document's information: UTF-16 or UTF-8 behind a mark, or else about Latin-1.
fn string(bytes: &[u8]) -> Option<String> {
    let (text, ..) = encoding_rs::WINDOWS_1252.decode(bytes);
    let text: String = text
        .chars()
        .filter(|character| !character.is_control())
        .collect();
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

fn date(date: &DateTime) -> Option<String> {
    let valid = (1..=12).contains(&date.month) && (1..=31).contains(&date.day);
    valid.then(|| format!("{:04}-{:02}-{:02}", date.year, date.month, date.day))
}
