//! One sandbox: a process of a function's binary with its own Runtime API.

use std::{
    net::{Ipv4Addr, SocketAddr},
    process::{ExitStatus, Stdio},
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    net::TcpListener,
    process::{Child, ChildStderr, Command},
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep_until, timeout, timeout_at},
};

use super::{log::Log, pool::Pool, runtime_api, sandboxes::Verdict, serve::serve};

/// How long a sandbox may take to exit after SIGTERM; Lambda's shutdown phase has two seconds.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(2);
/// How long to wait for the last output of an exited process: it is in the kernel's buffers already.
const LEFTOVER_LIMIT: Duration = Duration::from_millis(250);

/// Why a sandbox ended.
enum End {
    Exited(ExitStatus),
    Expired,
    Abandoned,
    Retired,
    Stopped,
}

/// Starts a sandbox, watches it, and ends it when it exits, misses a deadline, is idle for too long, or
/// `stop` is sent to or dropped. Dropping this future kills the process.
pub(super) async fn supervise(pool: Arc<Pool>, id: u64, stop: watch::Receiver<()>) {
    let why = match run(&pool, id, stop).await {
        Ok(why) => why,
        Err(error) => {
            let why = format!("its sandbox cannot be run: {error:#}");
            pool.settings().log.line(&format!(
                "gateway: function `{}`: {why}",
                pool.function().binary
            ));
            why
        }
    };
    pool.exited(id, &why);
}

async fn run(pool: &Arc<Pool>, id: u64, mut stop: watch::Receiver<()>) -> anyhow::Result<String> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
    let listener = listener.context("cannot listen for its Runtime API")?;
    let mut child = spawn(pool, listener.local_addr()?)?;
    let process = child.id();
    pool.started(id, process);

    let (closing, closed) = watch::channel(());
    let mut tasks = JoinSet::new();
    let answering = Arc::clone(pool);
    let answer = move |request, _peer| runtime_api::answer(Arc::clone(&answering), id, request);
    tasks.spawn(serve(listener, None, answer, closed));
    let stderr = child
        .stderr
        .take()
        .context("its standard error is missing")?;
    let mut reader = JoinSet::new();
    reader.spawn(forward(stderr, pool.settings().log.clone()));

    let end = watch_over(pool, id, &mut child, &mut stop).await?;
    // The process is gone, but its last response may still be in the kernel's buffers, or a slow client may
    // still be reading it.
    drop(closing);
    let leftover = Instant::now() + LEFTOVER_LIMIT;
    let until = match end {
        End::Exited(_) => pool.deadline(id).unwrap_or(leftover),
        End::Expired | End::Abandoned | End::Retired | End::Stopped => leftover,
    };
    tokio::select! {
        _ = timeout_at(until, tasks.join_next()) => {}
        _ = stop.changed(), if matches!(end, End::Exited(_)) => {}
    }
    let last = timeout(LEFTOVER_LIMIT, reader.join_next()).await;
    let last_line = last.ok().flatten().and_then(Result::ok).unwrap_or_default();
    Ok(report(pool, process.unwrap_or_default(), &end, &last_line))
}

fn spawn(pool: &Pool, api: SocketAddr) -> anyhow::Result<Child> {
    let (function, settings) = (pool.function(), pool.settings());
    let folder = settings.executable.parent().unwrap_or(&settings.executable);
    let region = std::env::var("AWS_REGION").unwrap_or_else(|_| "eu-west-1".to_owned());
    let mut command = Command::new(&settings.executable);
    command
        .env("AWS_DEFAULT_REGION", &region)
        .env("AWS_REGION", &region)
        .env("AWS_LAMBDA_FUNCTION_NAME", &function.binary)
        .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
        .env(
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
            function.memory.to_string(),
        )
        .env("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand")
        .env("AWS_LAMBDA_LOG_FORMAT", &function.log_format)
        .env(
            "AWS_LAMBDA_LOG_GROUP_NAME",
            format!("/aws/lambda/{}", function.binary),
        )
        .env(
            "AWS_LAMBDA_LOG_STREAM_NAME",
            format!("local/{}", api.port()),
        )
        .env("AWS_LAMBDA_RUNTIME_API", api.to_string())
        .env("LAMBDA_TASK_ROOT", folder)
        .env("_HANDLER", "bootstrap")
        // A sandbox gets one event at a time, whatever the gateway's environment says.
        .env_remove("AWS_LAMBDA_MAX_CONCURRENCY")
        .envs(
            settings
                .environment
                .iter()
                .map(|(name, value)| (name, value)),
        )
        .stdin(Stdio::null())
        .stdout(settings.log.stdout().context("cannot open its log")?)
        .stderr(Stdio::piped())
        // A terminal sends Ctrl-C to the whole process group; only the gateway should get it.
        .process_group(0)
        .kill_on_drop(true);
    command
        .spawn()
        .with_context(|| format!("cannot start {}", settings.executable.display()))
}

async fn watch_over(
    pool: &Pool,
    id: u64,
    child: &mut Child,
    stop: &mut watch::Receiver<()>,
) -> anyhow::Result<End> {
    let mut look = Instant::now();
    let mut hurried = pool.hurried();
    loop {
        tokio::select! {
            status = child.wait() => return Ok(End::Exited(status?)),
            _ = stop.changed() => {
                terminate(child).await?;
                return Ok(End::Stopped);
            }
            Ok(()) = hurried.changed() => look = Instant::now(),
            () = sleep_until(look) => match pool.apply_limits(id) {
                Verdict::Fine(until) => look = until,
                Verdict::Expired => {
                    kill(child).await?;
                    return Ok(End::Expired);
                }
                Verdict::Abandoned => {
                    kill(child).await?;
                    return Ok(End::Abandoned);
                }
                Verdict::Retired => {
                    terminate(child).await?;
                    return Ok(End::Retired);
                }
            }
        }
    }
}

/// SIGTERM, a grace period, SIGKILL.
async fn terminate(child: &mut Child) -> anyhow::Result<()> {
    signal(child, Signal::TERM);
    if timeout(SHUTDOWN_LIMIT, child.wait()).await.is_err() {
        kill(child).await?;
    }
    Ok(())
}

async fn kill(child: &mut Child) -> anyhow::Result<()> {
    signal(child, Signal::KILL);
    child.wait().await?;
    Ok(())
}

/// Signals a sandbox's process group. Only while the process has not been waited for does the number
/// certainly belong to it.
fn signal(child: &Child, signal: Signal) {
    let process = child
        .id()
        .and_then(|id| i32::try_from(id).ok())
        .and_then(Pid::from_raw);
    if let Some(group) = process {
        // The only possible error: the process has just exited.
        let _ = kill_process_group(group, signal);
    }
}

/// Copies a sandbox's standard error to the log and returns the last line that is not empty.
async fn forward(stderr: ChildStderr, log: Log) -> String {
    let mut lines = BufReader::new(stderr).split(b'\n');
    let mut last = String::new();
    while let Ok(Some(line)) = lines.next_segment().await {
        let line = String::from_utf8_lossy(&line);
        log.line(&line);
        if !line.trim().is_empty() {
            line.trim().clone_into(&mut last);
        }
    }
    last
}

/// The reason why a sandbox ended; unusual ones are logged.
fn report(pool: &Pool, process: u32, end: &End, last_line: &str) -> String {
    let why = match end {
        End::Exited(status) => format!("its process exited ({status})"),
        End::Expired => "it missed its deadline and was killed".to_owned(),
        End::Abandoned => "its client disconnected, and it was killed".to_owned(),
        End::Retired => return "it was idle".to_owned(),
        End::Stopped => return "the gateway is stopping".to_owned(),
    };
    let said = if last_line.is_empty() {
        String::new()
    } else {
        format!("; its last output: {last_line}")
    };
    let name = &pool.function().binary;
    pool.settings().log.line(&format!(
        "gateway: function `{name}`, process {process}: {why}{said}"
    ));
    why
}
