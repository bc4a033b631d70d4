//! Chromium and the driver that speaks `WebDriver` for it, of Debian's packages, for the tests of the console.

use std::{
    env, fs,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;
use tokio::{net::TcpStream, task::spawn_blocking, time::sleep};

use crate::{pooler::packages, ports::free_port, skip::skipped};

/// The browser, its files that a package of their own holds, the driver, and letters.
const PACKAGES: [&str; 4] = [
    "chromium",
    "chromium-common",
    "chromium-driver",
    "fonts-dejavu-core",
];

/// What starts a program must be of the machine: Chromium starts its parts by `/proc/self/exe`.
const OF_THE_MACHINE: [&str; 1] = ["libc6"];

/// How long the driver may take to listen.
const START_PATIENCE: Duration = Duration::from_secs(20);

/// A running driver on a port of 127.0.0.1, which starts browsers; it ends when this is dropped, and they with it.
pub struct Driver {
    process: Child,
    port: u16,
    chromium: PathBuf,
    /// The settings of its fonts, and their cache.
    _folder: TempDir,
}

impl Driver {
    /// Starts a driver, of the release of Debian that this machine runs. On another system it is skipped.
    ///
    /// # Errors
    /// When the packages cannot be fetched, the driver does not start, or nothing may be skipped.
    pub async fn start() -> Result<Option<Self>> {
        let Some(release) = release() else {
            skipped(
                "Chromium is not available: its packages are Debian's, and this system is not Debian",
            )?;
            return Ok(None);
        };
        let unpacked =
            spawn_blocking(move || packages::unpack_all(&PACKAGES, &release, &OF_THE_MACHINE));
        let root = unpacked.await.context("fetching Chromium panicked")??;
        let folder = tempfile::tempdir().context("making a folder for fonts")?;
        let port = free_port()?;
        let process = Command::new(root.join("usr/bin/chromedriver"))
            .arg(format!("--port={port}"))
            .env("LD_LIBRARY_PATH", libraries(&root)?)
            .env("FONTCONFIG_FILE", fonts(&root, folder.path())?)
            // It would be asked for the desktop.
            .env_remove("DBUS_SESSION_BUS_ADDRESS")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("starting chromedriver")?;
        let mut driver = Self {
            process,
            port,
            chromium: root.join("usr/lib/chromium/chromium"),
            _folder: folder,
        };
        driver.listening().await?;
        Ok(Some(driver))
    }

    /// Where it is, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The browser's program.
    #[must_use]
    pub fn chromium(&self) -> &Path {
        &self.chromium
    }

    async fn listening(&mut self) -> Result<()> {
        let deadline = Instant::now() + START_PATIENCE;
        while TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))
            .await
            .is_err()
        {
            let ended = self.process.try_wait().context("looking at chromedriver")?;
            ensure!(ended.is_none(), "chromedriver ended at once: {ended:?}");
            ensure!(Instant::now() < deadline, "chromedriver does not listen");
            sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // One that has ended already is what is wanted.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The name of the release of Debian that this machine runs: os-release(5).
fn release() -> Option<String> {
    let text = fs::read_to_string("/etc/os-release").ok()?;
    let value = |name: &str| {
        let mut lines = text.lines();
        let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix('='))?;
        Some(value.trim_matches('"').to_owned())
    };
    value("ID").filter(|id| id == "debian")?;
    value("VERSION_CODENAME")
}

/// Where the libraries are. One package keeps some of its own in a folder of its name.
fn libraries(root: &Path) -> Result<std::ffi::OsString> {
    let [first, second] = packages::library_folders(root);
    let own = second.join("pulseaudio");
    env::join_paths([first, second, own]).context("naming the folders of libraries")
}

/// Settings by which the letters are those of the packages, on every machine the same.
fn fonts(root: &Path, folder: &Path) -> Result<PathBuf> {
    let file = folder.join("fonts.conf");
    let (fonts, cache) = (root.join("usr/share/fonts"), folder.join("cache"));
    let settings = format!(
        "<?xml version=\"1.0\"?>\n<!DOCTYPE fontconfig SYSTEM \"urn:fontconfig:fonts.dtd\">\n\
         <fontconfig><dir>{}</dir><cachedir>{}</cachedir></fontconfig>\n",
        fonts.display(),
        cache.display()
    );
    fs::write(&file, settings).context("writing the settings of fonts")?;
    Ok(file)
}
