//! The child process that reads a file, under limits of memory and time.

use std::{
    env,
    ffi::OsString,
    io::{self, Read, Write},
    path::PathBuf,
    process::{Child, Command, ExitCode, ExitStatus, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Resource, Rlimit, setrlimit};

use crate::{Extracted, Format, MAX_BYTES, Reason, extract};

/// The limits for reading one file.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of address space (not limited on macOS).
    pub memory: u64,
    /// Seconds of elapsed time, and of CPU time.
    pub seconds: u64,
}

/// Reads each file in a child process.
#[derive(Clone, Debug)]
pub struct Sandbox {
    /// A program that passes what follows `arguments` to [`serve`].
    pub program: PathBuf,
    /// Its first arguments.
    pub arguments: Vec<OsString>,
    /// The limits for a file.
    pub limits: Limits,
}

/// The first argument of a program that reads one file for a [`Sandbox::of_this_program`]; the others are for [`serve`].
pub const SUBCOMMAND: &str = "read-file";

/// Bytes of the longest output: more than a text of the most characters has as JSON.
const MAX_OUTPUT: u64 = 64 * 1024 * 1024;

/// Bytes of messages that are read.
const MAX_MESSAGES: u64 = 64 * 1024;

/// How often to poll whether a process that has closed its output has ended.
const LOOK: Duration = Duration::from_millis(2);

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory: 1024 * 1024 * 1024,
            seconds: 60,
        }
    }
}

impl Limits {
    /// The limits in a Lambda function: at most a third of its memory, because the function itself holds the file and a
    /// model, and so many seconds, at least one.
    #[must_use]
    pub fn of_this_function(seconds: u64) -> Self {
        let most = Self::default().memory;
        let megabytes = env::var("AWS_LAMBDA_FUNCTION_MEMORY_SIZE").ok();
        let megabytes = megabytes.and_then(|megabytes| megabytes.parse::<u64>().ok());
        Self {
            memory: megabytes.map_or(most, |megabytes| most.min(megabytes * 1024 * 1024 / 3)),
            seconds: seconds.max(1),
        }
    }
}

impl Sandbox {
    /// Starts this program once more for each file, which must then [serve](serve_child).
    ///
    /// # Errors
    /// When the system does not tell which file this program is.
    pub fn of_this_program(limits: Limits) -> io::Result<Self> {
        Ok(Self {
            program: env::current_exe()?,
            arguments: vec![OsString::from(SUBCOMMAND)],
            limits,
        })
    }

    /// Reads a file, in a child process if its format [needs one](Format::needs_sandbox).
    ///
    /// # Errors
    /// Why it cannot be read; also that the process crashed or took too long.
    pub fn extract(&self, bytes: Vec<u8>, format: Format) -> Result<Extracted, Reason> {
        if !format.needs_sandbox() || bytes.len() > MAX_BYTES {
            return extract(bytes, format);
        }
        let failed = |error: io::Error| Reason::NotStarted(error.to_string());
        let mut child = self.command(format).spawn().map_err(failed)?;
        let output = self.converse(&mut child, bytes);
        let status = match output {
            Some(_) => self.wait(&mut child),
            None => None,
        };
        let Some((status, (output, messages))) = status.zip(output) else {
            // It may have ended meanwhile.
            let _ = child.kill();
            let _ = child.wait();
            return Err(Reason::Late(self.limits.seconds));
        };
        match serde_json::from_slice::<Result<Extracted, Reason>>(&output) {
            Ok(outcome) if status.success() => outcome,
            _ => Err(self.ended(status, &messages)),
        }
    }

    fn command(&self, format: Format) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(&self.arguments)
            .arg(format.name())
            .arg(self.limits.memory.to_string())
            .arg(self.limits.seconds.to_string())
            // Secrets in the environment are not for it.
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Writes the file to the process and reads its output and messages; `None` if that takes too long.
    fn converse(&self, child: &mut Child, bytes: Vec<u8>) -> Option<(Vec<u8>, Vec<u8>)> {
        let (mut input, output, messages) = (
            child.stdin.take()?,
            child.stdout.take()?,
            child.stderr.take()?,
        );
        // A process that ends early reads no more.
        thread::spawn(move || input.write_all(&bytes).is_ok());
        let output = reading(output, MAX_OUTPUT);
        let messages = reading(messages, MAX_MESSAGES);
        let output = output
            .recv_timeout(Duration::from_secs(self.limits.seconds))
            .ok()?;
        let messages = messages
            .recv_timeout(Duration::from_secs(1))
            .unwrap_or_default();
        Some((output, messages))
    }

    /// Waits for the end of a process that has closed its output.
    fn wait(&self, child: &mut Child) -> Option<ExitStatus> {
        let deadline = Instant::now() + Duration::from_secs(self.limits.seconds);
        while Instant::now() < deadline {
            if let Ok(Some(status)) = child.try_wait() {
                return Some(status);
            }
            thread::sleep(LOOK);
        }
        None
    }

    /// Why a process gave no answer.
    fn ended(&self, status: ExitStatus, messages: &[u8]) -> Reason {
        use std::os::unix::process::ExitStatusExt as _;

        const CPU_TIME: i32 = 24;
        let messages = String::from_utf8_lossy(messages);
        if status.signal() == Some(CPU_TIME) {
            return Reason::Late(self.limits.seconds);
        }
        if messages.contains("memory allocation of") {
            let megabytes = self.limits.memory / (1024 * 1024);
            return Reason::Crashed(format!("it needs more than {megabytes} MB of memory"));
        }
        if messages.contains("has overflowed its stack") {
            return Reason::Crashed("it is nested too deeply".to_owned());
        }
        let panic = messages
            .lines()
            .skip_while(|line| !line.contains("panicked at"))
            .nth(1);
        Reason::Crashed(match (panic, status.signal()) {
            (Some(message), _) => format!("its parser stopped: {message}"),
            (None, Some(signal)) => format!("signal {signal} ended it"),
            (None, None) => format!("it ended with {status}"),
        })
    }
}

/// If this process is the child of a [`Sandbox::of_this_program`], reads the file, and returns the status to end with.
/// A program calls it before it starts a runtime, whose threads would need memory as well.
#[must_use]
pub fn serve_child() -> Option<ExitCode> {
    let mut arguments = env::args().skip(1);
    if arguments.next()? != SUBCOMMAND {
        return None;
    }
    let arguments: Vec<String> = arguments.collect();
    Some(match serve(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody may be left who reads it.
            let _ = writeln!(io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    })
}

/// The child process of a [`Sandbox`]: reads a file from stdin under the limits, and writes its content, or why it cannot
/// be read. `arguments` are the last ones of its command line.
///
/// # Errors
/// When the arguments are not those of a [`Sandbox`], or input or output fail.
pub fn serve(arguments: &[String]) -> io::Result<()> {
    let wrong = || {
        io::Error::new(
            io::ErrorKind::InvalidInput,
            "expected FORMAT MEMORY SECONDS",
        )
    };
    let [format, memory, seconds] = arguments else {
        return Err(wrong());
    };
    let format = Format::of_name(format).ok_or_else(wrong)?;
    let number = |text: &str| text.parse::<u64>().map_err(|_| wrong());
    restrict(number(memory)?, number(seconds)?);
    let mut bytes = Vec::new();
    io::stdin().lock().read_to_end(&mut bytes)?;
    let outcome = extract(bytes, format);
    let mut output = io::stdout().lock();
    serde_json::to_writer(&mut output, &outcome)?;
    output.flush()
}

/// Limits the memory and time of this process, and forbids it to write files and a core dump.
fn restrict(memory: u64, seconds: u64) {
    for (resource, limit) in [
        (Resource::As, memory),
        (Resource::Cpu, seconds),
        (Resource::Core, 0),
        (Resource::Fsize, 0),
    ] {
        let limit = Rlimit {
            current: Some(limit),
            maximum: Some(limit),
        };
        // Not every system has every limit; the parent process limits the elapsed time.
        let _ = setrlimit(resource, limit);
    }
}

/// Reads on a thread, at most so many bytes.
fn reading(source: impl Read + Send + 'static, most: u64) -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // What was read before an error is used.
        let _ = source.take(most).read_to_end(&mut bytes);
        sender.send(bytes)
    });
    receiver
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A sandbox whose process is a script.
    fn shell(script: &str) -> Reason {
        let sandbox = Sandbox {
            program: "/bin/sh".into(),
            arguments: ["-c", script, "sh"].map(OsString::from).to_vec(),
            limits: Limits {
                memory: 512 * 1024 * 1024,
                seconds: 1,
            },
        };
        let outcome = sandbox.extract(b"%PDF-1.7".to_vec(), Format::Pdf);
        outcome.expect_err("the script reads nothing")
    }

    #[test]
    fn whatever_ends_the_process_is_a_reason() {
        for (script, words) in [
            ("kill -SEGV $$", "signal 11"),
            ("kill -XCPU $$", "not read within 1 s"),
            ("exec sleep 30", "not read within 1 s"),
            ("exec >&-; exec sleep 30", "not read within 1 s"),
            ("exit 3", "exit status: 3"),
            ("echo '{\"Ok\": 1}'", "exit status: 0"),
            (
                "echo \"thread 'main' panicked at x.rs:1:\nindex out of bounds\" >&2; exit 101",
                "index out of bounds",
            ),
            (
                "echo 'memory allocation of 9 bytes failed' >&2; kill -ABRT $$",
                "more than 512 MB",
            ),
            (
                "echo 'thread main has overflowed its stack' >&2; kill -ABRT $$",
                "nested too deeply",
            ),
            ("echo '{\"Err\":\"Encrypted\"}'", "is encrypted"),
        ] {
            let reason = shell(script).to_string();
            assert!(reason.contains(words), "{script}: {reason}");
        }
    }

    #[test]
    fn a_program_that_is_not_there_is_a_reason() {
        let sandbox = Sandbox {
            program: "/nowhere/rappel".into(),
            arguments: Vec::new(),
            limits: Limits::default(),
        };
        let reason = sandbox
            .extract(b"x".to_vec(), Format::Docx)
            .expect_err("no program");
        assert!(matches!(reason, Reason::NotStarted(_)), "{reason}");
        let text = sandbox.extract(b"# Text".to_vec(), Format::Markdown);
        assert_eq!(text.expect("it needs no process").title, "Text");
    }

    #[test]
    fn only_the_arguments_of_a_sandbox_are_served() {
        for arguments in [
            vec![],
            vec!["pdf", "1"],
            vec!["rtf", "1", "1"],
            vec!["pdf", "x", "1"],
        ] {
            let arguments: Vec<String> = arguments.into_iter().map(str::to_owned).collect();
            assert!(serve(&arguments).is_err(), "{arguments:?}");
        }
    }
}
