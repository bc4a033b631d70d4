//! Reads all files below folders and says what became of them:
//! `cargo run --example corpus -p extract -- FOLDER...`; with `--mutations N`, N damaged variants of each file as well.

use std::{
    collections::BTreeMap,
    env,
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use extract::{Extracted, Format, Limits, Reason, Sandbox, serve};

/// What the files of one format came to.
#[derive(Default)]
struct Outcomes {
    files: usize,
    read: usize,
    characters: usize,
    time: Duration,
    slowest: (Duration, PathBuf),
    reasons: BTreeMap<String, (usize, PathBuf)>,
}

fn main() -> io::Result<()> {
    let mut arguments: Vec<String> = env::args().skip(1).collect();
    if arguments.first().is_some_and(|first| first == "--serve") {
        return serve(&arguments[1..]);
    }
    let mut mutations = 0;
    if arguments
        .first()
        .is_some_and(|first| first == "--mutations")
    {
        mutations = arguments[1].parse().map_err(io::Error::other)?;
        arguments.drain(..2);
    }
    let sandbox = Sandbox {
        program: env::current_exe()?,
        arguments: vec![OsString::from("--serve")],
        limits: Limits {
            seconds: 20,
            ..Limits::default()
        },
    };
    let mut all: BTreeMap<&str, Outcomes> = BTreeMap::new();
    let mut files = Vec::new();
    for folder in &arguments {
        walk(Path::new(folder), &mut files);
    }
    for file in files {
        let Some(format) = Format::of_path(&file) else {
            continue;
        };
        let Ok(bytes) = fs::read(&file) else { continue };
        let outcomes = all.entry(format.name()).or_default();
        for round in 0..=mutations {
            let start = Instant::now();
            let outcome = sandbox.extract(mutated(&bytes, round), format);
            outcomes.add(&file, start.elapsed(), outcome);
        }
    }
    for (format, outcomes) in &all {
        outcomes.print(format);
    }
    Ok(())
}

impl Outcomes {
    fn add(&mut self, file: &Path, took: Duration, outcome: Result<Extracted, Reason>) {
        self.files += 1;
        self.time += took;
        if took > self.slowest.0 {
            self.slowest = (took, file.to_owned());
        }
        match outcome {
            Ok(extracted) => {
                self.read += 1;
                self.characters += extracted.content.chars().count();
                if env::var_os("SHOW").is_some() {
                    println!(
                        "=== {}\n{}\n{:?}\n{}",
                        file.display(),
                        extracted.title,
                        extracted.metadata,
                        extracted.content
                    );
                }
            }
            Err(reason) => {
                let text: String = reason.to_string().chars().take(120).collect();
                let entry = self.reasons.entry(text).or_insert((0, file.to_owned()));
                entry.0 += 1;
            }
        }
    }

    fn print(&self, format: &str) {
        println!(
            "{format}: {} of {} read, {} characters, {:.1} s in all, slowest {:.2} s ({})",
            self.read,
            self.files,
            self.characters,
            self.time.as_secs_f64(),
            self.slowest.0.as_secs_f64(),
            self.slowest.1.display(),
        );
        for (reason, (count, example)) in &self.reasons {
            println!("  {count} × {reason} ({})", example.display());
        }
    }
}

fn walk(path: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(path) else {
        files.push(path.to_owned());
        return;
    };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() && !path.is_symlink() {
            walk(&path, files);
        } else if path.is_file() {
            files.push(path);
        }
    }
}

/// The same bytes in round 0; in others some of them changed, cut off or repeated, the same ones each time.
fn mutated(bytes: &[u8], round: u64) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    if round == 0 || bytes.is_empty() {
        return bytes;
    }
    let mut state = round.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ bytes.len() as u64;
    let mut next = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % below.max(1) as u64).unwrap_or_default()
    };
    for _ in 0..=next(20) {
        let at = next(bytes.len());
        match next(6) {
            0 => bytes.truncate(at.max(1)),
            1 => {
                let piece = bytes[at..(at + next(200)).min(bytes.len())].to_vec();
                let to = next(bytes.len());
                bytes.splice(to..to, piece);
            }
            2 => {
                let end = (at + next(100)).min(bytes.len());
                bytes.drain(at..end.max(at));
                if bytes.is_empty() {
                    bytes.push(0);
                }
            }
            _ => bytes[at] = u8::try_from(next(256)).unwrap_or_default(),
        }
    }
    bytes
}
