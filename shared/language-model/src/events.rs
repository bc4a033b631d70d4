//! Splits an endpoint's body, byte by byte: server-sent events, lines of JSON, or one document.
//!
//! Parsers that follow the standard (`eventsource-stream`, which panics at a byte order mark, `sse-stream`,
//! `reqwest-eventsource`) drop an event without a blank line after it, join events separated by one line break, and
//! fail at bytes that are not UTF-8. Each of these loses part of an answer, and a body that is not a stream is lost
//! entirely. So this module reads lines, and follows the standard where that loses nothing:
//! <https://html.spec.whatwg.org/multipage/server-sent-events.html>.

use std::{collections::VecDeque, io::Write as _};

use flate2::write::MultiGzDecoder;
use serde::de::IgnoredAny;

use super::LanguageModelError;

/// Maximum bytes of an event, which is buffered whole: an answer in one document may be long.
const LONGEST: usize = 4 << 20;
/// Bytes decompressed at a time, so that a small input cannot expand without limit.
const SLICE: usize = 1_024;
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// The input that is not yet a complete event.
#[derive(Default)]
pub(super) struct Events {
    /// Complete events of one piece of the body, not yet taken.
    ready: VecDeque<String>,
    /// The first bytes, until they identify the format.
    head: Option<Vec<u8>>,
    begun: bool,
    gzip: Option<MultiGzDecoder<Vec<u8>>>,
    /// An incomplete line.
    line: Vec<u8>,
    /// Whether the last line ended with a carriage return: a following line feed belongs to it.
    returned: bool,
    /// The data of an incomplete event.
    data: String,
    /// Whether the lines are those of a JSON document, not fields of an event.
    document: bool,
}

impl Events {
    /// Adds a piece of the body.
    ///
    /// # Errors
    /// When an event exceeds the limit, or compressed data is damaged.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<(), LanguageModelError> {
        if self.begun {
            return self.decoded(bytes);
        }
        let mut head = self.head.take().unwrap_or_default();
        head.extend_from_slice(bytes);
        if head.len() < BYTE_ORDER_MARK.len() {
            self.head = Some(head);
            return Ok(());
        }
        self.begin(&head)
    }

    /// The data of the next event; `None` if it is incomplete.
    pub(super) fn next(&mut self) -> Option<String> {
        self.ready.pop_front()
    }

    /// Ends the last event, even without a blank line or line break after it.
    ///
    /// # Errors
    /// When compressed data is truncated.
    pub(super) fn end(&mut self) -> Result<(), LanguageModelError> {
        if let Some(head) = self.head.take() {
            self.begin(&head)?;
        }
        if let Some(gzip) = self.gzip.take() {
            let rest = gzip.finish().map_err(damaged)?;
            self.text(&rest)?;
        }
        if !self.line.is_empty() {
            self.end_of_line();
        }
        self.dispatch();
        Ok(())
    }

    fn begin(&mut self, head: &[u8]) -> Result<(), LanguageModelError> {
        self.begun = true;
        if head.starts_with(&GZIP) {
            self.gzip = Some(MultiGzDecoder::new(Vec::new()));
        }
        self.decoded(head.strip_prefix(BYTE_ORDER_MARK).unwrap_or(head))
    }

    fn decoded(&mut self, bytes: &[u8]) -> Result<(), LanguageModelError> {
        if self.gzip.is_none() {
            return self.text(bytes);
        }
        for slice in bytes.chunks(SLICE) {
            let Some(gzip) = &mut self.gzip else { break };
            gzip.write_all(slice)
                .and_then(|()| gzip.flush())
                .map_err(damaged)?;
            let text = std::mem::take(gzip.get_mut());
            self.text(&text)?;
        }
        Ok(())
    }

    fn text(&mut self, bytes: &[u8]) -> Result<(), LanguageModelError> {
        for byte in bytes {
            let after_return = std::mem::take(&mut self.returned);
            match byte {
                b'\n' if after_return => {}
                b'\n' | b'\r' => {
                    self.returned = *byte == b'\r';
                    self.end_of_line();
                }
                byte => self.line.push(*byte),
            }
            if self.line.len() + self.data.len() > LONGEST {
                let place = format!("an event has more than {LONGEST} bytes");
                return Err(LanguageModelError::Unreadable(place));
            }
        }
        Ok(())
    }

    fn end_of_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        let line = String::from_utf8_lossy(&line);
        self.document |= self.data.is_empty() && line.trim_start().starts_with(['{', '[']);
        if self.document {
            self.more(&line);
        } else if line.is_empty() {
            self.dispatch();
        } else if let Some(data) = line.strip_prefix("data") {
            let value = data.strip_prefix(':').unwrap_or_default();
            self.more(value.strip_prefix(' ').unwrap_or(value));
        }
        // Comments, names, ids and retry times carry no text.
    }

    /// Adds a line of data, and ends the event if it cannot continue.
    fn more(&mut self, line: &str) {
        if !self.data.is_empty() {
            self.data.push('\n');
        }
        self.data.push_str(line);
        let data = self.data.trim();
        let ends = data.ends_with(['}', ']']);
        if ends && (is_end(data) || serde_json::from_str::<IgnoredAny>(data).is_ok()) {
            self.dispatch();
        }
    }

    fn dispatch(&mut self) {
        self.document = false;
        let data = std::mem::take(&mut self.data);
        if !data.trim().is_empty() {
            self.ready.push_back(data);
        }
    }
}

/// Whether these data mark the end of the stream.
pub(super) fn is_end(data: &str) -> bool {
    data.trim() == "[DONE]"
}

#[expect(clippy::needless_pass_by_value, reason = "as `map_err` hands it over")]
fn damaged(error: std::io::Error) -> LanguageModelError {
    LanguageModelError::Cut(format!(
        "the compressed body cannot be decoded: {}",
        error.kind()
    ))
}

#[cfg(test)]
mod tests {
    use flate2::{Compression, write::GzEncoder};

    use super::*;

    /// The data of all events, wherever the body is split.
    fn data(body: &[u8]) -> Vec<String> {
        let mut outcomes = (1..=body.len().max(1)).map(|size| {
            let mut events = Events::default();
            let mut data = Vec::new();
            for piece in body.chunks(size) {
                events.push(piece).expect("it can be read");
                data.extend(std::iter::from_fn(|| events.next()));
            }
            events.end().expect("it ends well");
            data.extend(std::iter::from_fn(|| events.next()));
            data
        });
        let first = outcomes.next().expect("there is one way to cut a text");
        for other in outcomes {
            assert_eq!(other, first, "it depends on how it is cut");
        }
        first
    }

    #[test]
    fn events_are_read_as_the_standard_says() {
        let body = ": hello\r\n\r\nevent: chunk\r\nid: 1\r\ndata:{\"a\":1}\r\n\r\ndata: {\"a\":\ndata: 2}\n\ndata\n\ndata: [DONE]\r\r";
        assert_eq!(
            data(body.as_bytes()),
            ["{\"a\":1}", "{\"a\":\n2}", "[DONE]"]
        );
    }

    #[test]
    fn events_are_read_where_the_standard_would_drop_them() {
        let without_blank_lines = "data: {\"a\":1}\ndata: {\"a\":2}\ndata: [DONE] ";
        assert_eq!(
            data(without_blank_lines.as_bytes()),
            ["{\"a\":1}", "{\"a\":2}", "[DONE] "]
        );
        let marked = [BYTE_ORDER_MARK, b"data: {\"a\":1}"].concat();
        assert_eq!(data(&marked), ["{\"a\":1}"]);
        assert_eq!(
            data(b"data: {\"a\":\"\xe0\"}\n\n"),
            ["{\"a\":\"\u{fffd}\"}"]
        );
    }

    #[test]
    fn lines_of_json_and_whole_documents_are_events_too() {
        assert_eq!(data(b"{\"a\":1}\n{\"a\":2}\n"), ["{\"a\":1}", "{\"a\":2}"]);
        assert_eq!(
            data(b"\n {\n  \"data\": [1],\n\n  \"b\": {}\n}"),
            [" {\n  \"data\": [1],\n\n  \"b\": {}\n}"]
        );
        assert!(data(b"").is_empty());
    }

    #[test]
    fn a_compressed_stream_is_read_as_it_arrives() {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        gzip.write_all(b"data: {\"a\":1}\n\n")
            .expect("a vector takes everything");
        gzip.flush().expect("a vector takes everything");
        let first = gzip.get_ref().clone();
        gzip.write_all(b"data: [DONE]\n\n")
            .expect("a vector takes everything");
        let body = gzip.finish().expect("a vector takes everything");
        assert_eq!(data(&body), ["{\"a\":1}", "[DONE]"]);
        let mut events = Events::default();
        events.push(&first).expect("it can be read");
        assert_eq!(
            events.next().as_deref(),
            Some("{\"a\":1}"),
            "before the rest has come"
        );
        events.end().expect_err("the rest is missing");
    }

    #[test]
    fn an_event_without_an_end_fills_no_memory() {
        let mut events = Events::default();
        let mut pushes = (0..).map(|_| events.push(&vec![b'a'; 65_536]));
        assert!(pushes.by_ref().take(100).any(|pushed| pushed.is_err()));
    }
}
