//! Folders that are sent to an API.

use std::fs;

use serde_json::json;
use tests::{
    App,
    command::open_folder,
    language_model::{LanguageModel, Reply},
};

use super::{arguments, document, import, manuals};
use crate::Outcome;

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_is_posted_to_an_api_as_it_is_loaded_into_a_database() -> Outcome {
    let (direct, through) = (App::start().await?, App::start().await?);
    let folder = manuals()?;
    let root = folder.path().join("manuals");
    let path = arguments(&root);
    let (_, loaded) = import(Some(direct.database_url()), &[&path]).await?;
    let (printed, posted) = import(None, &["--api", &through.url(), &path]).await?;
    assert_eq!(printed.status, Some(3), "{printed:?}");
    for count in ["documents", "chunks", "unchanged", "bad"] {
        assert_eq!(loaded[count], posted[count], "{count}: {printed:?}");
    }
    for id in [
        "manuals/report.pdf",
        "manuals/pumps/filter.md",
        "from-a-line",
    ] {
        let (one, other) = (document(&direct, id).await?, document(&through, id).await?);
        for field in ["title", "content", "metadata"] {
            assert_eq!(one[field], other[field], "{id}");
        }
    }
    fs::remove_file(root.join("notes.txt"))?;
    let (printed, said) = import(None, &["--api", &through.url(), &path, "--delete"]).await?;
    let counts = ["documents", "unchanged", "deleted"].map(|count| said[count].as_u64());
    assert_eq!(counts, [Some(0), Some(6), Some(1)], "{printed:?}");
    through
        .get("/documents/manuals%2Fnotes.txt", &[])
        .await?
        .problem(404, "not-found")?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_that_refuses_a_folder_says_why_in_words() -> Outcome {
    let folder = open_folder()?;
    let root = folder.path().join("manuals");
    fs::create_dir_all(&root)?;
    fs::write(root.join("notes.txt"), "Gaskets and two seals.\n")?;
    let path = arguments(&root);
    let refusal = json!({ "title": "Not allowed", "detail": "the caller lacks the scope write" });
    let invalid = json!({ "title": "The request is not valid", "detail": "content: is too long" });
    let timeout = json!({ "message": "Endpoint request timed out" });
    let outcome = json!({ "documents": [{ "id": "notes.txt", "status": "created", "chunks": 1 }] });
    let api = LanguageModel::replying([
        Reply::Status(403, None, refusal),
        Reply::Status(422, None, invalid.clone()),
        Reply::Status(422, None, invalid),
        Reply::Status(504, Some(0), timeout),
        Reply::Status(200, None, outcome),
    ])
    .await?;
    let (refused, _) = import(None, &["--api", &api.url(), &path]).await?;
    assert_eq!(refused.status, Some(1), "{refused:?}");
    for part in ["Not allowed: the caller lacks the scope write", "--key"] {
        assert!(refused.stderr.contains(part), "{part}: {refused:?}");
    }
    let (_, said) = import(None, &["--api", &api.url(), &path]).await?;
    let reason = "The request is not valid: content: is too long";
    assert_eq!(said["bad"][0]["reason"], reason, "{said}");
    let (printed, said) = import(None, &["--api", &api.url(), &path]).await?;
    assert_eq!(
        (printed.status, &said["documents"]),
        (Some(0), &json!(1)),
        "{printed:?}"
    );
    Ok(())
}
