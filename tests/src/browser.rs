//! A person at a browser: Chromium, driven by `WebDriver`.

use std::{fs, path::PathBuf, time::Duration};

use anyhow::{Context, Result, ensure};
use assets::Cache;
use serde_json::{Value, json};
use servers::browser::Driver;
pub use thirtyfour::Key;
use thirtyfour::{
    By, Capabilities, WebDriver, WebElement, extensions::query::ElementQueryable as _,
};
use tokio::{sync::OnceCell, task::spawn_blocking, time::Instant};

use crate::Assets;

/// How long a page may take to show what is looked for.
const PATIENCE: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(40);

/// How Chromium is started, besides what chromedriver adds: nothing of it leaves the machine.
const FLAGS: [&str; 10] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    // A small `/dev/shm`, as containers have, would crash it.
    "--disable-dev-shm-usage",
    // It ends with its driver, whose pipe closes.
    "--remote-debugging-pipe",
];

/// axe-core, which finds what keeps people from using a page; of this package only its script is used.
const AXE: &str = "axe-playwright-python==0.1.8 \
     --hash=sha256:fdd263c998388f1a8e67cad02677e612d946248bd44d163be5e8650ea31f95f8\n";

/// A browser with a profile of its own.
pub struct Browser {
    // Before the driver: a session ends while its driver runs.
    session: WebDriver,
    _driver: Driver,
    pictures: PathBuf,
}

impl Browser {
    /// Opens a browser in a language, such as `en-GB`; nothing where there is none and that may be.
    ///
    /// # Errors
    /// When it does not start, or nothing may be skipped.
    pub async fn open(language: &str) -> Result<Option<Self>> {
        let Some(driver) = Driver::start().await? else {
            return Ok(None);
        };
        let mut flags = FLAGS.map(str::to_owned).to_vec();
        flags.push(format!("--lang={language}"));
        flags.push(format!("--accept-lang={language}"));
        let mut capabilities = Capabilities::new();
        capabilities.set("browserName", "chrome")?;
        capabilities.set(
            "goog:chromeOptions",
            json!({ "args": flags, "binary": driver.chromium() }),
        )?;
        capabilities.set("goog:loggingPrefs", json!({ "browser": "ALL" }))?;
        let client = http_client::builder().no_proxy().build()?;
        let session = WebDriver::builder(driver.url(), capabilities)
            .client(client)
            .await
            .context("starting Chromium")?;
        let pictures = Assets::prepared().await?.workspace.join("target/console");
        fs::create_dir_all(&pictures).context("making a folder for pictures")?;
        let browser = Self {
            session,
            _driver: driver,
            pictures,
        };
        browser.look(1200, false).await?;
        Ok(Some(browser))
    }

    /// Opens a page.
    ///
    /// # Errors
    /// When the browser cannot.
    pub async fn go(&self, url: &str) -> Result<()> {
        self.session
            .goto(url)
            .await
            .with_context(|| format!("opening {url}"))
    }

    /// Runs a script before those of each page that is opened from now on.
    ///
    /// # Errors
    /// When the browser cannot.
    pub async fn before_pages(&self, script: &str) -> Result<()> {
        let source = json!({ "source": script });
        let cdp = self.session.cdp();
        cdp.send_raw("Page.addScriptToEvaluateOnNewDocument", source)
            .await?;
        Ok(())
    }

    /// Makes the window so many pixels wide, and light or dark.
    ///
    /// # Errors
    /// When the browser cannot.
    pub async fn look(&self, width: u32, dark: bool) -> Result<()> {
        let cdp = self.session.cdp();
        let size =
            json!({ "width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500 });
        cdp.send_raw("Emulation.setDeviceMetricsOverride", size)
            .await?;
        let scheme = if dark { "dark" } else { "light" };
        let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        cdp.send_raw("Emulation.setEmulatedMedia", features).await?;
        Ok(())
    }

    /// The first element of a selector, once it is shown.
    ///
    /// # Errors
    /// When it is not shown in time.
    pub async fn see(&self, selector: &str) -> Result<WebElement> {
        let query = self.session.query(By::Css(selector)).wait(PATIENCE, LOOK);
        query
            .ignore_errors(true)
            .and_displayed()
            .first()
            .await
            .with_context(|| format!("looking for {selector}"))
    }

    /// Waits until an element of a selector has this text.
    ///
    /// # Errors
    /// When none has in time, with the page's text.
    pub async fn read(&self, selector: &str, text: &str) -> Result<()> {
        let script = "return [...document.querySelectorAll(arguments[0])].some((element) => element.innerText.includes(arguments[1]))";
        self.until(script, vec![json!(selector), json!(text)])
            .await
            .with_context(|| format!("reading {text:?} in {selector}"))
    }

    /// Waits until no element of a selector is there.
    ///
    /// # Errors
    /// When one stays.
    pub async fn gone(&self, selector: &str) -> Result<()> {
        let script = "return document.querySelector(arguments[0]) === null";
        self.until(script, vec![json!(selector)])
            .await
            .with_context(|| format!("{selector} stays"))
    }

    /// Waits until a script answers `true`.
    ///
    /// # Errors
    /// When it does not in time, with the page's text.
    pub async fn until(&self, script: &str, arguments: Vec<Value>) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while self.run(script, arguments.clone()).await? != json!(true) {
            if Instant::now() > deadline {
                let text = self.run("return document.body.innerText", vec![]).await?;
                anyhow::bail!("the page says: {text}");
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    /// What a script answers.
    ///
    /// # Errors
    /// When it throws.
    pub async fn run(&self, script: &str, arguments: Vec<Value>) -> Result<Value> {
        let answer = self.session.execute(script, arguments).await?;
        Ok(answer.json().clone())
    }

    /// Clicks on the first element of a selector, once it is shown.
    ///
    /// # Errors
    /// When it is not shown in time.
    pub async fn click(&self, selector: &str) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let clicked = self.see(selector).await?.click().await;
            // What was seen may have been drawn anew meanwhile.
            if clicked.is_ok() || Instant::now() > deadline {
                return clicked.with_context(|| format!("clicking {selector}"));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Types into a field, in place of what is there.
    ///
    /// # Errors
    /// When it is not shown in time.
    pub async fn fill(&self, selector: &str, text: &str) -> Result<()> {
        let field = self.see(selector).await?;
        field.clear().await?;
        field
            .send_keys(text)
            .await
            .with_context(|| format!("typing into {selector}"))
    }

    /// Presses a key where the focus is.
    ///
    /// # Errors
    /// When the browser cannot.
    pub async fn press(&self, key: Key) -> Result<()> {
        let focused = self.session.active_element().await?;
        focused.send_keys(key).await.context("pressing a key")
    }

    /// Names files to a field that takes some.
    ///
    /// # Errors
    /// When there is no such field.
    pub async fn choose(&self, selector: &str, files: &[PathBuf]) -> Result<()> {
        let names: Vec<_> = files
            .iter()
            .map(|file| file.display().to_string())
            .collect();
        let field = self.session.find(By::Css(selector)).await?;
        field
            .send_keys(names.join("\n"))
            .await
            .context("choosing files")
    }

    /// Keeps a picture of what the window shows, as `target/console/{name}.png`, and looks whether the page is too wide
    /// for it, and whether anybody is kept from using it: by axe-core's rules.
    ///
    /// # Errors
    /// When something is wrong with the page, and what.
    pub async fn inspect(&self, name: &str) -> Result<()> {
        self.session
            .screenshot(&self.pictures.join(format!("{name}.png")))
            .await
            .context("taking a picture")?;
        let script =
            "return document.documentElement.scrollWidth - document.documentElement.clientWidth";
        let over = self.run(script, vec![]).await?;
        ensure!(over == json!(0), "{name} is {over} pixels too wide");
        if self.run("return typeof axe", vec![]).await? == json!("undefined") {
            self.run(axe().await?, vec![]).await?;
        }
        let script = "const done = arguments[0];
            axe.run(document, { resultTypes: ['violations'] }).then(
              ({ violations }) => done(violations.map(({ id, nodes }) => [id, ...nodes.map((node) => node.html)])),
              (error) => done(String(error)));";
        let found = self.session.execute_async(script, vec![]).await?;
        ensure!(*found.json() == json!([]), "{name}: {:#}", found.json());
        Ok(())
    }

    /// The same in a wide window and in one of a telephone, light and dark.
    ///
    /// # Errors
    /// As [`Self::inspect`].
    pub async fn inspect_everywhere(&self, name: &str) -> Result<()> {
        for (width, dark) in [(360, true), (360, false), (1200, true), (1200, false)] {
            self.look(width, dark).await?;
            let scheme = if dark { "dark" } else { "light" };
            self.inspect(&format!("{name}-{width}-{scheme}")).await?;
        }
        Ok(())
    }

    /// What the browser complained of since it was asked last, except of the statuses of answers: faults of scripts,
    /// and whatever the page's security policy refused.
    ///
    /// # Errors
    /// When the browser does not say.
    pub async fn complaints(&self) -> Result<Vec<String>> {
        let entries = self.session.get_log("browser").await?;
        let wrong = entries.into_iter().filter(|entry| {
            let is_status = entry.source.as_deref() == Some("network");
            !is_status && ["SEVERE", "WARNING"].contains(&entry.level.as_str())
        });
        Ok(wrong.map(|entry| entry.message).collect())
    }

    /// Closes the browser; one that complained is a failure.
    ///
    /// # Errors
    /// When it complained, and of what.
    pub async fn close(self) -> Result<()> {
        let complaints = self.complaints().await?;
        self.session.quit().await.context("closing Chromium")?;
        ensure!(
            complaints.is_empty(),
            "the browser complained: {complaints:#?}"
        );
        Ok(())
    }
}

/// The script of axe-core, fetched into the cache once.
async fn axe() -> Result<&'static str> {
    static SCRIPT: OnceCell<String> = OnceCell::const_new();
    let script = SCRIPT.get_or_try_init(|| async {
        let fetched = spawn_blocking(|| {
            let environment = Cache::from_env()?.environment("axe", "axe-core", "python3", AXE)?;
            let library =
                fs::read_dir(environment.join("lib")).context("reading the environment")?;
            let mut folders = library.filter_map(|folder| Some(folder.ok()?.path()));
            let script = folders.find_map(|folder| {
                let script = folder.join("site-packages/axe_playwright_python/axe.min.js");
                fs::read_to_string(script).ok()
            });
            script.context("the package has no axe.min.js")
        });
        fetched.await.context("fetching axe-core panicked")?
    });
    script.await.map(String::as_str)
}
