//! Stories that users live through, played on the built functions.

mod bench;
mod chat;
mod chat_clients;
mod chat_command;
mod chat_endpoints;
mod chat_faults;
mod chat_history;
mod chat_prompt;
mod chat_refused;
mod command;
mod connections;
mod deployment;
mod doctor;
mod documents;
mod documents_in;
mod embedder;
mod faults;
mod gateway;
mod health;
mod import_command;
mod imports;
mod imports_command;
mod imports_faults;
mod imports_files;
mod imports_killed;
mod imports_refused;
mod ingest;
mod ingest_refused;
mod keywords;
mod migrate;
mod modes;
mod plan;
mod quality;
mod rerank;
mod search;
mod search_refused;
mod secrets;
mod telemetry;
mod terminal;
mod web;

/// What every story returns: an error is a story that could not be told to its end.
type Outcome = anyhow::Result<()>;
