//! A function for the gateway's tests: it does what the query of a request tells it to, else it echoes the
//! request. With `arrive` it leaves a file named after its process in that folder, and with `together` it
//! waits until there are so many. With the variable `STREAMING` it answers with streams, with `BREAK_INIT` it does not start.

use std::{
    collections::HashMap,
    fs::File,
    io::Write as _,
    path::{Path, PathBuf},
    process::exit,
    time::Duration,
};

use lambda_http::{
    Body, Error, Request, RequestExt as _, Response, lambda_runtime::streaming, run,
    run_with_streaming_response, service_fn,
};
use serde_json::{Value, json};

#[tokio::main]
async fn main() -> Result<(), Error> {
    if std::env::var_os("BREAK_INIT").is_some() {
        let _ = writeln!(std::io::stderr(), "the test told me not to start");
        exit(3);
    }
    // The gateway's tests see by the file this leaves that SIGTERM came.
    lambda_runtime::spawn_graceful_shutdown_handler(|| async {
        if let Some(folder) = std::env::var_os("GOODBYE_FOLDER") {
            let _ = File::create(Path::new(&folder).join(std::process::id().to_string()));
        }
    })
    .await;
    if std::env::var_os("STREAMING").is_some() {
        run_with_streaming_response(service_fn(stream)).await
    } else {
        run(service_fn(answer)).await
    }
}

async fn answer(request: Request) -> Result<Response<Body>, Error> {
    let query = query(&request);
    if let Some(folder) = query.get("arrive") {
        File::create(Path::new(folder).join(std::process::id().to_string()))?;
    }
    if let (Some(folder), Some(count)) = (query.get("arrive"), query.get("together")) {
        let count: usize = count.parse()?;
        while std::fs::read_dir(folder)?.count() < count {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    if let Some(time) = query.get("sleep") {
        tokio::time::sleep(Duration::from_millis(time.parse()?)).await;
    }
    if let Some(code) = query.get("exit") {
        exit(code.parse()?);
    }
    assert!(!query.contains_key("panic"), "the test told me to");
    if let Some(message) = query.get("error") {
        return Err(message.clone().into());
    }
    if let Some(size) = query.get("size") {
        return Ok(Response::new("x".repeat(size.parse()?).into()));
    }
    let response = Response::builder()
        .status(200)
        .header("content-type", "application/json");
    let response = response
        .header("set-cookie", "a=1")
        .header("set-cookie", "b=2");
    Ok(response.body(echo(&request).to_string().into())?)
}

fn echo(request: &Request) -> Value {
    let parameters = request.path_parameters();
    let parameters: HashMap<_, _> = parameters.iter().collect();
    let left = request.lambda_context_ref().map(|context| {
        let left = context
            .deadline()
            .duration_since(std::time::SystemTime::now());
        left.unwrap_or_default().as_secs_f64() * 1000.0
    });
    json!({
        "process": std::process::id(),
        "method": request.method().as_str(),
        "path": request.uri().path(),
        "parameters": parameters,
        "query": query(request),
        "body_length": request.body().len(),
        "milliseconds_left": left,
    })
}

/// Streams `count` chunks of `size` bytes, one every `every` milliseconds, and notes each in the file
/// `progress`; after the first it waits until there is a file `until`, and after `die` chunks it exits.
async fn stream(request: Request) -> Result<Response<streaming::Body>, Error> {
    let query = query(&request);
    let number = |name: &str, default: usize| match query.get(name) {
        Some(text) => text.parse(),
        None => Ok(default),
    };
    let (count, size) = (number("count", 3)?, number("size", 6)?);
    let (every, die) = (number("every", 0)?, number("die", usize::MAX)?);
    let until = query.get("until").map(PathBuf::from);
    let mut progress = query.get("progress").map(File::create).transpose()?;
    let (mut sender, body) = streaming::channel();
    tokio::spawn(async move {
        for chunk in 0..count {
            if chunk == die {
                exit(1);
            }
            if sender.send_data(vec![b'x'; size].into()).await.is_err() {
                return;
            }
            if let Some(file) = &mut progress {
                let _ = file.write_all(b"x");
            }
            tokio::time::sleep(Duration::from_millis(every as u64)).await;
            while until.as_ref().is_some_and(|file| !file.exists()) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    });
    let process = std::process::id();
    Ok(Response::builder()
        .status(207)
        .header("x-process", process)
        .body(body)?)
}

fn query(request: &Request) -> HashMap<String, String> {
    let parameters = request.query_string_parameters();
    parameters
        .iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}
