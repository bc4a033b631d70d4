//! `rappel import FOLDER`: a document a file, in the formats that people have.

mod api;

use std::{fs, path::Path};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use tempfile::TempDir;
use tests::{
    App,
    command::{Printed, open_folder, rappel},
    files::{docx, pdf},
};

use crate::Outcome;

/// A folder of documents named `manuals`, with one file of each format.
fn manuals() -> Result<TempDir> {
    let folder = open_folder()?;
    let root = folder.path().join("manuals");
    fs::create_dir_all(root.join("pumps"))?;
    let filler = |page: usize| -> Vec<String> {
        (0..60)
            .map(|line| format!("Page {page}, line {line}: the daily log of the pumping station is kept by the warden."))
            .collect()
    };
    let mut pages = vec![filler(1), filler(2), filler(3)];
    "The emergency siren is tested on the first Tuesday of October.".clone_into(&mut pages[1][30]);
    let report = pdf("Station report", &pages)?;
    for (name, bytes) in [
        (
            "pumps/filter.md",
            b"---\nauthor: Nora Quill\nlang: en\n---\n# Filter\n\nRinse the filter weekly.\n".to_vec(),
        ),
        (
            "index.html",
            b"<html lang=fr><head><title>Accueil</title></head><body><nav>Menu</nav><main><h2>Horaires</h2>\
              <p>La station ouvre \xc3\xa0 huit heures.</p></main></body></html>"
                .to_vec(),
        ),
        ("notes.txt", b"Shopping\n\nGaskets and two seals.\n".to_vec()),
        ("report.pdf", report.clone()),
        ("letter.docx", docx("Complaint", "The valve in Mill Lane still drips.")?),
        ("more.jsonl", b"{\"id\":\"from-a-line\",\"content\":\"A line of its own.\"}\n[]\n".to_vec()),
        ("photo.png", b"\x89PNG".to_vec()),
        (".hidden.md", b"# Hidden\n".to_vec()),
        ("draft.md", b"# Draft\n".to_vec()),
        (".gitignore", b"draft.md\n".to_vec()),
        ("empty.md", b"\n".to_vec()),
        ("broken.pdf", report[..200].to_vec()),
        ("what is C#?.md", b"# C sharp\n\nA language.\n".to_vec()),
    ] {
        fs::write(root.join(name), bytes)?;
    }
    Ok(folder)
}

async fn import(database_url: Option<&str>, arguments: &[&str]) -> Result<(Printed, Value)> {
    let arguments = [&["import", "--json"], arguments].concat();
    let printed = Printed::by(&mut rappel(database_url, &arguments).await?).await?;
    let said = serde_json::from_str(&printed.stdout).unwrap_or(Value::Null);
    Ok((printed, said))
}

/// The refused files and the reasons.
fn refused(said: &Value) -> Vec<(String, String)> {
    let bad = said["bad"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    let text = |bad: &'_ Value, key: &str| bad[key].as_str().unwrap_or_default().to_owned();
    bad.iter()
        .map(|bad| (text(bad, "file"), text(bad, "reason")))
        .collect()
}

async fn document(app: &App, id: &str) -> Result<Value> {
    let id = percent_encoding::utf8_percent_encode(id, percent_encoding::NON_ALPHANUMERIC);
    app.get(&format!("/documents/{id}"), &[])
        .await?
        .success(200)
}

fn arguments(path: &Path) -> String {
    path.display().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_file_of_a_folder_is_a_document_with_pages_and_headings() -> Outcome {
    let app = App::start().await?;
    let folder = manuals()?;
    let root = folder.path().join("manuals");
    let (printed, said) = import(Some(app.database_url()), &[&arguments(&root)]).await?;
    assert_eq!(
        (printed.status, &said["documents"]),
        (Some(3), &json!(7)),
        "{printed:?}"
    );
    let refused = refused(&said);
    let names: Vec<&str> = refused.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        [
            "manuals/broken.pdf",
            "manuals/empty.md",
            "manuals/more.jsonl"
        ],
        "{said}"
    );
    assert!(refused[0].1.contains("cannot be read"), "{said}");
    assert!(refused[1].1.contains("is empty"), "{said}");
    assert_eq!(said["bad"][2]["line"], 2, "{said}");
    assert_eq!(said["skipped"], json!({ "png": 1 }), "{said}");

    let filter = document(&app, "manuals/pumps/filter.md").await?;
    assert_eq!(filter["title"], "Filter");
    assert_eq!(filter["content"], "Rinse the filter weekly.");
    let metadata = &filter["metadata"];
    for (key, value) in [
        ("author", "Nora Quill"),
        ("language", "en"),
        ("folder", "manuals"),
        ("path", "pumps/filter.md"),
    ] {
        assert_eq!(metadata[key], value, "{metadata}");
    }
    assert!(
        metadata["modified"]
            .as_str()
            .is_some_and(|time| time.ends_with('Z')),
        "{metadata}"
    );
    let page = document(&app, "manuals/index.html").await?;
    assert_eq!(
        (&page["title"], &page["metadata"]["lang"]),
        (&json!("Accueil"), &json!("fr"))
    );
    let content = page["content"].as_str().context("it has a content")?;
    assert!(
        content.contains("## Horaires") && !content.contains("Menu"),
        "{content}"
    );
    let letter = document(&app, "manuals/letter.docx").await?;
    assert!(
        letter["content"]
            .as_str()
            .is_some_and(|text| letter["title"] == "Complaint" && text.contains("Mill Lane")),
        "{letter}"
    );
    document(&app, "from-a-line").await?;

    let found = app
        .post(
            "/search",
            json!({ "query": "when is the emergency siren tested", "limit": 1 }),
        )
        .await?
        .success(200)?;
    let hit = &found["hits"][0];
    assert_eq!(
        (&hit["document_id"], &hit["title"]),
        (&json!("manuals/report.pdf"), &json!("Station report"))
    );
    let page = hit["metadata"]["page"]
        .as_u64()
        .context("a passage of a PDF file has its page")?;
    assert!(
        (1..=2).contains(&page),
        "it begins on the siren's page or runs into it: {hit}"
    );
    assert!(
        hit["content"]
            .as_str()
            .is_some_and(|text| text.contains("siren")),
        "{hit}"
    );
    assert!(hit["metadata"]["page_starts"].is_null(), "{hit}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn again_only_what_changed_is_stored_and_what_is_gone_is_deleted() -> Outcome {
    let app = App::start().await?;
    let folder = manuals()?;
    let root = folder.path().join("manuals");
    for name in ["broken.pdf", "empty.md", "more.jsonl"] {
        fs::remove_file(root.join(name))?;
    }
    let path = arguments(&root);
    let database = Some(app.database_url());
    let (printed, said) = import(database, &[&path]).await?;
    assert_eq!(
        (printed.status, &said["documents"]),
        (Some(0), &json!(6)),
        "{printed:?}"
    );
    // A document that somebody stored with the folder's name in its metadata.
    app.put(
        "/documents/elsewhere",
        json!({ "content": "Not of the folder.", "metadata": { "folder": "manuals", "path": "gone.md" } }),
    )
    .await?
    .success(201)?;

    fs::write(root.join("notes.txt"), "Shopping\n\nOnly gaskets.\n")?;
    fs::remove_file(root.join("letter.docx"))?;
    let (printed, said) = import(database, &[&path, "--delete"]).await?;
    let counts = ["documents", "unchanged", "deleted"].map(|count| said[count].as_u64());
    assert_eq!(
        (printed.status, counts),
        (Some(0), [Some(1), Some(4), Some(1)]),
        "{printed:?}"
    );
    app.get("/documents/manuals%2Fletter.docx", &[])
        .await?
        .problem(404, "not-found")?;
    document(&app, "elsewhere").await?;

    // A link to a drive that is no longer mounted, which is told with the status.
    let drive = folder.path().join("drive");
    fs::create_dir(&drive)?;
    fs::write(drive.join("far.md"), "# Far\n\nOn a drive.\n")?;
    std::os::unix::fs::symlink(&drive, root.join("drive"))?;
    let (printed, _) = import(database, &[&path]).await?;
    assert_eq!(printed.status, Some(0), "{printed:?}");
    fs::rename(&drive, folder.path().join("unmounted"))?;
    let (printed, said) = import(database, &[&path, "--delete"]).await?;
    assert_eq!(
        (printed.status, &said["deleted"]),
        (Some(3), &json!(0)),
        "{printed:?}"
    );
    document(&app, "manuals/drive/far.md").await?;

    // An empty mount point: a folder of the same name with none of the files.
    let other = folder.path().join("other/manuals");
    fs::create_dir_all(&other)?;
    fs::write(other.join("new.md"), "# New\n\nText.\n")?;
    let (printed, _) = import(database, &[&arguments(&other), "--delete"]).await?;
    assert_eq!(printed.status, Some(1), "{printed:?}");
    assert!(printed.stderr.contains("--delete-all"), "{printed:?}");
    document(&app, "manuals/notes.txt").await?;
    let missing = arguments(&folder.path().join("nowhere"));
    let (printed, _) = import(database, &[&missing, "--delete"]).await?;
    assert_eq!(printed.status, Some(1), "{printed:?}");
    assert!(printed.stderr.contains("does not exist"), "{printed:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn files_and_patterns_have_the_ids_that_their_folder_gives_them() -> Outcome {
    let app = App::start().await?;
    let folder = manuals()?;
    let root = folder.path().join("manuals");
    let database = Some(app.database_url());
    let pattern = arguments(&root.join("**/*.md"));
    let (notes, report) = (
        arguments(&root.join("notes.txt")),
        arguments(&root.join("report.pdf")),
    );
    fs::remove_file(root.join("empty.md"))?;
    let (printed, said) = import(database, &[&pattern, &notes, &report]).await?;
    assert_eq!(
        (printed.status, &said["documents"]),
        (Some(0), &json!(4)),
        "{printed:?}"
    );
    for id in [
        "manuals/pumps/filter.md",
        "manuals/notes.txt",
        "manuals/report.pdf",
    ] {
        document(&app, id).await?;
    }
    let (printed, _) = import(database, &[&notes, "--delete"]).await?;
    assert_eq!(printed.status, Some(1), "{printed:?}");
    assert!(
        printed.stderr.contains("--delete needs a folder"),
        "{printed:?}"
    );
    let lines = arguments(&root.join("more.jsonl"));
    let (printed, _) = import(database, &[&lines, "--delete"]).await?;
    assert_eq!(printed.status, Some(1), "{printed:?}");
    assert!(printed.stderr.contains("are for folders"), "{printed:?}");
    Ok(())
}
