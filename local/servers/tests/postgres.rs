//! The embedded server: it starts, answers, keeps what it must, and leaves nothing behind.
//!
//! The first run fetches Postgres into the cache.

use std::{
    env,
    fs::{self, Permissions},
    io::{BufRead, BufReader},
    net::{Ipv4Addr, TcpStream},
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use assets::Cache;
use tempfile::TempDir;

use servers::{postgres::Postgres, skip::skipped};

async fn install() -> PathBuf {
    let fetch = || Cache::from_env().and_then(|cache| cache.postgres());
    let fetched = tokio::task::spawn_blocking(fetch).await.expect("no panic");
    fetched.expect("Postgres can be fetched")
}

/// Runs SQL with psql and returns what it prints, or its error.
fn sql(install: &Path, url: &str, statement: &str) -> Result<String, String> {
    let output = Command::new(install.join("bin/psql"))
        .args([
            "--no-psqlrc",
            "--tuples-only",
            "--no-align",
            "--quiet",
            "--command",
            statement,
            url,
        ])
        .output()
        .expect("psql runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() {
        Ok(text(&output.stdout))
    } else {
        Err(text(&output.stderr))
    }
}

/// A folder that the server's account may enter; temporary folders are closed to others.
fn open_folder() -> TempDir {
    let folder = TempDir::new().expect("temporary folder");
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).expect("open the folder");
    folder
}

fn is_listening(port: u16) -> bool {
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
}

/// The processes whose command line names `folder`.
fn processes_of(folder: &Path) -> Vec<String> {
    let output = Command::new("ps")
        .args(["-A", "-ww", "-o", "pid=,args="])
        .output();
    let Ok(output) = output else {
        // Without ps, processes cannot be listed; the port still tells of a living server.
        println!("ps is missing: only the port is looked at");
        return Vec::new();
    };
    let list = String::from_utf8_lossy(&output.stdout).into_owned();
    let name = folder.display().to_string();
    list.lines()
        .filter(|line| line.contains(&name))
        .map(str::to_owned)
        .collect()
}

#[tokio::test]
async fn a_throwaway_answers_and_leaves_nothing() {
    let install = install().await;
    let server = Postgres::throwaway(&install)
        .await
        .expect("the server starts");
    let url = server.url("postgres");
    let version = sql(&install, &url, "show server_version").expect("an answer");
    assert_eq!(version, "18.4");
    let vector = "create extension vector; select '[1,2]'::halfvec(2) <=> '[1,2]'";
    assert_eq!(sql(&install, &url, vector).expect("pgvector is there"), "0");
    let french = "select to_tsvector('simple', 'l’Été à l’École')";
    assert_eq!(
        sql(&install, &url, french).expect("text search"),
        "'l':1,4 'à':3 'école':5 'été':2",
        "letters beyond ASCII are letters with a case, and the typographic apostrophe is none"
    );
    let wrong = url.replace("rappel:", "rappel:wrong");
    let refusal = sql(&install, &wrong, "select 1").expect_err("a wrong password");
    assert!(
        refusal.contains("password authentication failed"),
        "{refusal}"
    );

    let (port, data) = (server.port(), server.data().to_owned());
    assert!(!processes_of(&data).is_empty() || processes_of(Path::new("/")).is_empty());
    drop(server);
    assert!(!is_listening(port), "the server must be gone");
    assert_eq!(processes_of(&data), Vec::<String>::new());
    assert!(
        !data.parent().expect("a folder").exists(),
        "the folder must be gone"
    );
}

#[tokio::test]
async fn kept_data_survives_a_stop_and_a_drop() {
    let install = install().await;
    let folder = open_folder();
    let data = folder.path().join("deep/data");

    let server = Postgres::open(&install, &data)
        .await
        .expect("the server starts");
    sql(
        &install,
        &server.url("postgres"),
        "create table t as select 42 as n",
    )
    .expect("a table");
    let url = server.url("postgres");
    server.stop().await.expect("an orderly stop");
    assert_eq!(processes_of(&data), Vec::<String>::new());
    sql(&install, &url, "select 1").expect_err("the server is stopped");

    let server = Postgres::open(&install, &data)
        .await
        .expect("the server starts again");
    assert_eq!(
        sql(&install, &server.url("postgres"), "select n from t").expect("the row"),
        "42"
    );
    drop(server);
    let server = Postgres::open(&install, &data)
        .await
        .expect("the server starts once more");
    assert_eq!(
        sql(&install, &server.url("postgres"), "select n from t").expect("the row"),
        "42"
    );

    let password = fs::metadata(folder.path().join("deep/data.password")).expect("the password");
    assert_eq!(password.permissions().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn a_second_open_attaches() {
    let install = install().await;
    let folder = open_folder();
    let data = folder.path().join("data");
    // Both at once: one makes the database, the other waits for it.
    let (first, second) = tokio::join!(
        Postgres::open(&install, &data),
        Postgres::open(&install, &data)
    );
    let (first, second) = (first.expect("one starts"), second.expect("one attaches"));
    assert_eq!(first.url("postgres"), second.url("postgres"));
    let (owner, mut attached) = if second.is_attached() {
        (first, second)
    } else {
        (second, first)
    };
    assert!(attached.is_attached() && !owner.is_attached());
    attached
        .restart()
        .await
        .expect_err("the server is not its own");

    drop(attached);
    assert_eq!(
        sql(&install, &owner.url("postgres"), "select 1").expect("it goes on"),
        "1"
    );
    owner.stop().await.expect("an orderly stop");
    assert_eq!(processes_of(&data), Vec::<String>::new());
}

#[tokio::test]
async fn a_killed_server_starts_again() {
    let install = install().await;
    let folder = open_folder();
    let data = folder.path().join("data");

    let mut server = Postgres::open(&install, &data)
        .await
        .expect("the server starts");
    let url = server.url("postgres");
    sql(&install, &url, "create table t as select 1 as n").expect("a table");
    server.kill().await.expect("killed");
    assert_eq!(processes_of(&data), Vec::<String>::new());
    sql(&install, &url, "select 1").expect_err("the server is killed");
    assert!(
        data.join("postmaster.pid").exists(),
        "a kill leaves a stale file"
    );
    server.restart().await.expect("it starts after a kill");
    assert_eq!(
        sql(&install, &url, "select n from t").expect("the same URL and data"),
        "1"
    );
    server.restart().await.expect("it is killed and starts");
    assert_eq!(
        sql(&install, &url, "select n from t").expect("the same URL and data"),
        "1"
    );

    server.kill().await.expect("killed");
    // A process id of another living process, as after a restart of the machine.
    let pid_file = data.join("postmaster.pid");
    let stale = fs::read_to_string(&pid_file).expect("a stale file");
    let (_, rest) = stale.split_once('\n').expect("several lines");
    fs::write(&pid_file, format!("1\n{rest}")).expect("change the process id");
    drop(server);
    let server = Postgres::open(&install, &data)
        .await
        .expect("it opens after a kill");
    assert_eq!(
        sql(&install, &server.url("postgres"), "select n from t").expect("the data"),
        "1"
    );
}

#[tokio::test]
async fn a_killed_throwaway_leaves_no_folder() {
    let install = install().await;
    let mut server = Postgres::throwaway(&install)
        .await
        .expect("the server starts");
    server.kill().await.expect("killed");
    server.restart().await.expect("it starts again");
    server.kill().await.expect("killed");
    let data = server.data().to_owned();
    drop(server);
    assert!(
        !data.parent().expect("a folder").exists(),
        "the folder must be gone"
    );
}

#[tokio::test]
async fn what_went_wrong_is_in_the_error() {
    let install = install().await;
    let folder = open_folder();
    let data = folder.path().join("data");
    let server = Postgres::open(&install, &data)
        .await
        .expect("the server starts");
    server.stop().await.expect("an orderly stop");
    fs::write(data.join("PG_VERSION"), "17\n").expect("make it an older database");
    let error = format!(
        "{:#}",
        Postgres::open(&install, &data)
            .await
            .expect_err("it is older")
    );
    assert!(error.contains("incompatible with server"), "{error}");
    assert!(error.contains("data.log"), "{error}");
}

#[tokio::test]
async fn root_is_told_which_folder_is_closed() {
    let folder = open_folder();
    if folder.path().metadata().expect("the folder").uid() != 0 {
        skipped("not root, so the server runs as this user, and no folder is closed")
            .expect("nothing may be skipped");
        return;
    }
    let install = install().await;
    let data = folder.path().join("data");
    fs::set_permissions(folder.path(), Permissions::from_mode(0o700)).expect("close the folder");
    let error = Postgres::open(&install, &data)
        .await
        .expect_err("nobody may enter")
        .to_string();
    assert!(
        error.contains(&format!("chmod o+x {}", folder.path().display())),
        "{error}"
    );
}

/// Set for the process that [`an_owner_who_is_killed_takes_its_server_along`] starts.
const VICTIM: &str = "RAPPEL_TEST_VICTIM";

#[tokio::test]
#[ignore = "it is the owner that another test starts and kills"]
async fn victim() {
    if env::var_os(VICTIM).is_none() {
        println!("it does nothing by itself");
        return;
    }
    let install = install().await;
    let server = Postgres::throwaway(&install)
        .await
        .expect("the server starts");
    println!("\nvictim {} {}", server.port(), server.data().display());
    tokio::time::sleep(Duration::from_mins(1)).await;
}

#[tokio::test]
async fn an_owner_who_is_killed_takes_its_server_along() {
    install().await;
    let mut owner = Command::new(env::current_exe().expect("this program"))
        .args(["victim", "--exact", "--ignored", "--nocapture"])
        .env(VICTIM, "1")
        .stdout(Stdio::piped())
        .spawn()
        .expect("the owner starts");
    let output = BufReader::new(owner.stdout.take().expect("a pipe"));
    let line = output
        .lines()
        .map(|line| line.expect("text"))
        .find(|line| line.starts_with("victim "))
        .expect("the owner tells of its server");
    let mut words = line.split(' ').skip(1);
    let port = words.next().expect("a port").parse().expect("a number");
    let data = PathBuf::from(words.next().expect("a folder"));
    assert!(is_listening(port) && data.exists());

    // SIGKILL: no destructor and no signal handler of the owner runs.
    owner.kill().expect("killed");
    owner.wait().expect("ended");
    let deadline = Instant::now() + Duration::from_mins(2);
    let folder = data.parent().expect("a folder");
    while is_listening(port) || folder.exists() || !processes_of(&data).is_empty() {
        assert!(
            Instant::now() < deadline,
            "left behind: {:?}",
            processes_of(&data)
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
