//! Answers, which are JSON.

use axum::response::{IntoResponse as _, Response};
use hyper::{StatusCode, header::CONTENT_TYPE};
use serde_json::{Value, json};

/// Says why something was not done.
pub(super) fn refusal(status: StatusCode, message: &str) -> Response {
    answer(status, &json!({"error": message}))
}

pub(super) fn answer(status: StatusCode, document: &Value) -> Response {
    // As people write it: with a blank behind the colon.
    let text = document.to_string().replacen("\":", "\": ", 1);
    (status, [(CONTENT_TYPE, "application/json")], text).into_response()
}
