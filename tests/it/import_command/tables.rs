//! Tables as spreadsheets export them, and one that is broken.

use std::fs;

use serde_json::json;
use tests::{App, command::open_folder};

use super::{import, outcome};
use crate::Outcome;

#[tokio::test(flavor = "multi_thread")]
async fn a_table_is_imported_as_spreadsheets_export_it_and_a_broken_row_is_counted() -> Outcome {
    let app = App::start().await?;
    let folder = open_folder()?;
    let code = "id,content\ncode-1,\"Exemple :\n{\n  \"\"a\"\": 1\n}\"\ncode-2,Un bief.\n";
    let excel = "sep=;\r\nid;content\r\nexcel-1;Une écluse.\r\nexcel-2;Un bief.\r\n;\r\n;;;\r\n";
    let open = "id,content\nopen-1,Une écluse.\nopen-2,\"Un bief.\nopen-3,Un pont.\n";
    let none = "id,content\nnone-1,\"Un bief.\nnone-2,Un pont.\n";
    for (name, table, status, stored, bad_line) in [
        ("code", code, 0, 2, None),
        ("excel", excel, 0, 2, None),
        ("open", open, 3, 1, Some(3)),
        ("none", none, 1, 0, Some(2)),
    ] {
        let path = folder.path().join(format!("{name}.csv"));
        fs::write(&path, table)?;
        let printed = import(&app, &path.display().to_string(), None).await?;
        let said = outcome(&printed)?;
        assert_eq!(printed.status, Some(status), "{name}: {printed:?}");
        assert_eq!(said["documents"], stored, "{name}: {said}");
        assert_eq!(said["bad"][0]["line"].as_u64(), bad_line, "{name}: {said}");
        if bad_line.is_some() {
            let reason = &said["bad"][0]["reason"];
            assert_eq!(reason, "a quotation mark is not closed", "{name}: {said}");
        }
        for number in 1..=stored {
            app.get(&format!("/documents/{name}-{number}"), &[])
                .await?
                .success(200)?;
        }
    }
    let stored = app.get("/documents/code-1", &[]).await?.success(200)?;
    assert_eq!(
        stored["content"],
        json!("Exemple :\n{\n  \"a\": 1\n}"),
        "{stored}"
    );
    Ok(())
}
