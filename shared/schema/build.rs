//! Reads the SQL for `migrate`: the frozen migrations of `migrations/`, each checked against its line in `SHA256SUMS`,
//! and the functions of `functions/`, in a schema named after a hash of their text.

use std::{
    collections::BTreeMap,
    env,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use sha2::{Digest as _, Sha256};

/// Hexadecimal digits of the hash in the schema's name: builds of one database never share 48 bits by chance.
const NAME_DIGITS: usize = 12;

fn main() {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    println!("cargo::rerun-if-changed=migrations");
    println!("cargo::rerun-if-changed=functions");
    let written = tables(&root).and_then(|tables| {
        let (macros, functions) = functions(&root)?;
        fs::write(out.join("schema.rs"), macros + &tables + &functions)
            .map_err(|error| format!("schema.rs: {error}"))
    });
    if let Err(message) = written {
        println!("cargo::error={message}");
    }
}

/// The migrations as Rust.
fn tables(root: &Path) -> Result<String, String> {
    let mut code =
        "/// The migrations, in order.\npub const MIGRATIONS: &[Migration] = &[\n".to_owned();
    for (version, name, sql, checksum) in migrations(&root.join("migrations"))? {
        writeln!(
            code,
            "Migration {{ version: {version}, name: {name:?}, sql: {sql:?}, checksum: {checksum:?} }},"
        )
        .expect("a string takes any text");
    }
    Ok(code + "];\n")
}

/// The macro for function names, and their text, as Rust.
fn functions(root: &Path) -> Result<(String, String), String> {
    let files = sql_files(&root.join("functions"))?;
    let text: String = files.into_iter().map(|(_, sql)| sql).collect();
    let schema = format!("rappel_{}", &sha256(&text)[..NAME_DIGITS]);
    let macros = format!(
        "/// The name of a function of this build with its schema, for `concat!`: `function!(\"search\")`.\n\
         #[macro_export]\n\
         macro_rules! function {{ ($name:literal) => {{ concat!(\"{schema}.\", $name) }}; }}\n"
    );
    let constants = format!(
        "/// The schema of this build's functions.\n\
         pub const FUNCTIONS: &str = {schema:?};\n\
         /// The statements that create them.\npub const FUNCTIONS_SQL: &str = {text:?};\n"
    );
    Ok((macros, constants))
}

/// Number, name, text and checksum of each migration, in order.
fn migrations(folder: &Path) -> Result<Vec<(i32, String, String, String)>, String> {
    let mut listed = checksums(&folder.join("SHA256SUMS"))?;
    let mut migrations: Vec<(i32, String, String, String)> = Vec::new();
    for (file, sql) in sql_files(folder)? {
        let checksum = sha256(&sql);
        let number = file
            .split('_')
            .next()
            .and_then(|digits| digits.parse().ok());
        let version = number.ok_or_else(|| format!("{file} has to begin with its number"))?;
        if let Some((last, name, ..)) = migrations.last()
            && *last == version
        {
            return Err(format!("{file} has the number of {name}"));
        }
        match listed.remove(&file) {
            Some(line) if line == checksum => {}
            line => {
                let problem = if line.is_some() {
                    "is not the file of"
                } else {
                    "is not listed in"
                };
                return Err(format!(
                    "migrations/{file} {problem} migrations/SHA256SUMS. A migration that a database may have \
                     applied is never edited: add another one. If no release has this one, its line is now: \
                     {checksum}  {file}"
                ));
            }
        }
        let name = file.trim_end_matches(".sql").to_owned();
        migrations.push((version, name, sql, checksum));
    }
    match listed.into_keys().next() {
        Some(file) => Err(format!(
            "migrations/{file} is missing: databases have applied it"
        )),
        None => Ok(migrations),
    }
}

/// The lines of a `sha256sum` file, by name.
fn checksums(path: &Path) -> Result<BTreeMap<String, String>, String> {
    let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    text.lines()
        .map(|line| {
            let (checksum, file) = line.split_once("  ").ok_or_else(|| {
                format!("{}: {line:?} is not a line of sha256sum", path.display())
            })?;
            Ok((file.to_owned(), checksum.to_owned()))
        })
        .collect()
}

/// Names and texts of a folder's SQL files, by name.
fn sql_files(folder: &Path) -> Result<Vec<(String, String)>, String> {
    let failed = |error| format!("{}: {error}", folder.display());
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|extension| extension == "sql")
            && let Some(name) = path.file_name().and_then(|name| name.to_str())
        {
            // Git may check out Windows line ends; the checksum is of the committed text.
            let text = fs::read_to_string(&path)
                .map_err(failed)?
                .replace("\r\n", "\n");
            files.push((name.to_owned(), text));
        }
    }
    files.sort();
    Ok(files)
}

fn sha256(text: &str) -> String {
    let mut digits = String::new();
    for byte in Sha256::digest(text) {
        write!(digits, "{byte:02x}").expect("a string takes any text");
    }
    digits
}
