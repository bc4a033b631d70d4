//! `rappel import FILE`: formats, outcomes, and interruptions.

mod interrupted;
mod tables;

use std::{fs, io::Write as _, process::Stdio};

use anyhow::{Context as _, Result};
use flate2::{Compression, write::GzEncoder};
use serde_json::{Value, json};
use tests::{
    App,
    command::{Printed, open_folder, rappel, write_lines},
};
use tokio::io::AsyncWriteExt as _;

use crate::Outcome;

fn gzip(text: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text)?;
    Ok(encoder.finish()?)
}

fn utf16(text: &str) -> Vec<u8> {
    let units = std::iter::once(0xfeff).chain(text.encode_utf16());
    units.flat_map(u16::to_le_bytes).collect()
}

/// Runs `rappel import --json` on a file, or on what a pipe brings.
async fn import(app: &App, file: &str, piped: Option<&[u8]>) -> Result<Printed> {
    let mut command = rappel(Some(app.database_url()), &["import", "--json", file]).await?;
    let Some(bytes) = piped else {
        return Printed::by(&mut command).await;
    };
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut stdin = child.stdin.take().context("it has one")?;
    stdin.write_all(bytes).await?;
    drop(stdin);
    let output = child.wait_with_output().await?;
    Ok(Printed {
        success: output.status.success(),
        status: output.status.code(),
        stdout: String::from_utf8(output.stdout)?,
        stderr: String::from_utf8(output.stderr)?,
    })
}

fn outcome(printed: &Printed) -> Result<Value> {
    serde_json::from_str(&printed.stdout).with_context(|| format!("{printed:?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_imported_in_whatever_format_it_comes() -> Outcome {
    let app = App::start().await?;
    let folder = open_folder()?;
    let lines = |name: &str| {
        format!(
            "{{\"id\":\"{name}-1\",\"content\":\"Une écluse.\"}}\r\n\r\n{{\"id\":\"{name}-2\",\"content\":\"Un bief.\"}}"
        )
    };
    let array = |name: &str| json!([{ "id": format!("{name}-1"), "text": "Une écluse." }, { "_id": format!("{name}-2"), "text": "Un bief." }]);
    let table =
        "Id;Content;année\ntable-1;\"Une écluse;\nsur le canal.\";1822\ntable-2;Un bief.;\n";
    for (name, file, bytes) in [
        (
            "mark",
            "mark.jsonl",
            format!("\u{feff}{}", lines("mark")).into_bytes(),
        ),
        ("gzip", "gzip.jsonl", gzip(lines("gzip").as_bytes())?),
        (
            "pipe",
            "-",
            gzip(format!("\u{feff}{}", lines("pipe")).as_bytes())?,
        ),
        ("utf16", "utf16.txt", utf16(&lines("utf16"))),
        (
            "array",
            "array.json",
            array("array").to_string().into_bytes(),
        ),
        ("table", "table.csv", table.as_bytes().to_vec()),
    ] {
        let path = folder.path().join(file);
        fs::write(&path, &bytes)?;
        let printed = if file == "-" {
            import(&app, "-", Some(&bytes)).await?
        } else {
            import(&app, &path.display().to_string(), None).await?
        };
        let said = outcome(&printed)?;
        assert_eq!(
            (printed.status, &said["documents"], &said["bad_lines"]),
            (Some(0), &json!(2), &json!(0)),
            "{name}: {printed:?}"
        );
        for number in [1, 2] {
            app.get(&format!("/documents/{name}-{number}"), &[])
                .await?
                .success(200)
                .with_context(|| name.to_owned())?;
        }
    }
    let row = app.get("/documents/table-1", &[]).await?.success(200)?;
    assert_eq!(
        (&row["content"], &row["metadata"]),
        (
            &json!("Une écluse;\nsur le canal."),
            &json!({ "année": "1822" })
        )
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_exit_status_says_whether_all_some_or_nothing_was_stored() -> Outcome {
    let app = App::start().await?;
    let folder = open_folder()?;
    let bad: Vec<String> = (0..30).map(|n| format!("[{n}]")).collect();
    let good = json!({ "id": "bon", "content": "Un texte." }).to_string();
    let some = [vec![good.clone()], bad.clone()].concat();
    let none = [vec!["{}".to_owned()], bad].concat();
    for (name, lines, status, stored, refused) in [
        ("all", vec![good], 0, 1, 0),
        ("some", some, 3, 0, 30),
        ("none", none, 1, 0, 31),
    ] {
        let file = write_lines(folder.path(), name, &lines)?;
        let printed = import(&app, &file, None).await?;
        let said = outcome(&printed)?;
        assert_eq!(printed.status, Some(status), "{name}: {printed:?}");
        assert_eq!(said["documents"], stored, "{name}: {said}");
        assert_eq!(said["bad_lines"], refused, "{name}: {said}");
        assert_eq!(
            said["bad"].as_array().map(Vec::len),
            Some(refused),
            "all of them: {said}"
        );
        let told = printed
            .stderr
            .lines()
            .filter(|line| line.starts_with("line "))
            .count();
        assert_eq!(told, refused.min(20), "the first ones: {printed:?}");
        if refused > 20 {
            let rest = format!("and {} more bad lines", refused - 20);
            assert!(printed.stderr.contains(&rest), "{printed:?}");
        }
    }
    let notes = folder.path().join("notes.log");
    fs::write(&notes, "Ne pas oublier\nle pain.\n")?;
    let printed = import(&app, &notes.display().to_string(), None).await?;
    assert_eq!(printed.status, Some(1), "{printed:?}");
    assert!(
        printed.stderr.contains("looks like plain text"),
        "{printed:?}"
    );

    let mut broken = gzip(
        "{\"id\":\"x\",\"content\":\"Un texte.\"}\n"
            .repeat(500)
            .as_bytes(),
    )?;
    broken.truncate(broken.len() - 9);
    let file = folder.path().join("broken.gz");
    fs::write(&file, broken)?;
    let printed = import(&app, &file.display().to_string(), None).await?;
    assert_eq!(printed.status, Some(3), "{printed:?}");
    assert!(
        printed.stderr.contains("cannot be read further"),
        "{printed:?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn of_lines_with_one_id_the_last_one_wins_and_all_are_counted() -> Outcome {
    let app = App::start().await?;
    let folder = open_folder()?;
    let line = |id: &str, text: &str| json!({ "id": id, "content": text }).to_string();
    let mut lines: Vec<String> = (0..400)
        .map(|n| line(&format!("n{n}"), "Un texte."))
        .collect();
    // Neighbours, the same twice, and far apart: in other batches.
    lines.insert(1, line("n0", "Le second texte."));
    lines.insert(2, line("n0", "Le second texte."));
    lines.push(line("n7", "Le dernier texte."));
    lines.push(line("n8", "Un texte."));
    let file = write_lines(folder.path(), "repeated.jsonl", &lines)?;
    let printed = import(&app, &file, None).await?;
    let said = outcome(&printed)?;
    assert_eq!(printed.status, Some(3), "{printed:?}");
    assert_eq!(
        [
            &said["documents"],
            &said["unchanged"],
            &said["replaced_lines"],
            &said["bad_lines"]
        ],
        [&json!(400), &json!(2), &json!(2), &json!(0)],
        "{said}"
    );
    assert_eq!(
        said["replaced"][0],
        json!({ "id": "n0", "line": 1, "by": 2 })
    );
    assert!(
        printed
            .stderr
            .contains("line 403 replaces line 10: both have the id n7"),
        "{printed:?}"
    );
    for (id, text) in [("n0", "Le second texte."), ("n7", "Le dernier texte.")] {
        let stored = app
            .get(&format!("/documents/{id}"), &[])
            .await?
            .success(200)?;
        assert_eq!(stored["content"], text, "{id}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn loaders_of_the_same_documents_do_not_end_each_other() -> Outcome {
    let app = App::start().await?;
    let folder = open_folder()?;
    let files: Vec<String> = (0..3)
        .map(|loader| {
            let line = |n: usize| json!({ "id": format!("d{n}"), "content": format!("Le texte {loader} de {n}.") });
            let mut lines: Vec<String> = (0..300).map(|n| line(n).to_string()).collect();
            lines.rotate_left(loader * 100);
            if loader == 1 {
                lines.reverse();
            }
            write_lines(folder.path(), &format!("{loader}.jsonl"), &lines)
        })
        .collect::<Result<_>>()?;
    let loads = files
        .iter()
        .map(async |file| import(&app, file, None).await);
    for printed in futures_util::future::try_join_all(loads).await? {
        assert_eq!(printed.status, Some(0), "{printed:?}");
    }
    let sql = app.sql().await?;
    let whole =
        "SELECT count(*) FROM rappel.documents AS d JOIN rappel.chunks AS c ON c.document_id = d.id
        WHERE c.content = d.content";
    assert_eq!(
        sql.number(whole, &[]).await?,
        300,
        "each is the work of one loader"
    );
    Ok(())
}
