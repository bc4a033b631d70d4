//! What is no message of the protocol: <https://www.jsonrpc.org/specification#error_object>.

use rmcp::model::ClientJsonRpcMessage;
use serde_json::{Value, json};

const PARSE_ERROR: i32 = -32_700;
const INVALID_REQUEST: i32 = -32_600;

/// The answer to what cannot be read as a message; `None` if it can be read. The SDK answers with a text and the status of a
/// wrong content type.
#[must_use]
pub fn unreadable(message: &[u8]) -> Option<Value> {
    if serde_json::from_slice::<ClientJsonRpcMessage>(message).is_ok() {
        return None;
    }
    let value: Value = match serde_json::from_slice(message) {
        Ok(value) => value,
        Err(error) => {
            let detail = format!("the message is not JSON: {error}");
            return Some(failure(&Value::Null, PARSE_ERROR, &detail));
        }
    };
    let id = &value["id"];
    let is_known = id.is_string() || id.is_number();
    let detail = if value.is_array() {
        "batches are not supported: send each message alone"
    } else {
        "not a message of JSON-RPC 2.0: a request has jsonrpc, id and method"
    };
    let id = if is_known { id } else { &Value::Null };
    Some(failure(id, INVALID_REQUEST, detail))
}

fn failure(id: &Value, code: i32, message: &str) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code, "message": message } })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_message_is_answered_with_its_code() {
        for (message, id, code) in [
            ("", json!(null), PARSE_ERROR),
            ("{\"jsonrpc\": \"2.0\", \"id\": 1", json!(null), PARSE_ERROR),
            ("7", json!(null), INVALID_REQUEST),
            ("[]", json!(null), INVALID_REQUEST),
            (
                "{\"id\": 7, \"method\": \"ping\"}",
                json!(7),
                INVALID_REQUEST,
            ),
            (
                "{\"jsonrpc\": \"2.0\", \"id\": \"a\"}",
                json!("a"),
                INVALID_REQUEST,
            ),
            (
                "[{\"jsonrpc\": \"2.0\", \"id\": 1, \"method\": \"ping\"}]",
                json!(null),
                INVALID_REQUEST,
            ),
        ] {
            let answer = unreadable(message.as_bytes()).expect(message);
            assert_eq!(answer["id"], id, "{message}");
            assert_eq!(answer["error"]["code"], code, "{message}");
        }
        for message in [
            "{\"jsonrpc\": \"2.0\", \"id\": 1, \"method\": \"tools/list\"}",
            "{\"jsonrpc\": \"2.0\", \"id\": 1, \"method\": \"unknown\", \"params\": {}}",
            "{\"jsonrpc\": \"2.0\", \"method\": \"notifications/initialized\"}",
        ] {
            assert_eq!(unreadable(message.as_bytes()), None, "{message}");
        }
    }
}
