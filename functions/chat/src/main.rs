//! `POST /chat` and `/v1`; a library does the work, so that the description of the API has its types.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    chat::serve().await
}
