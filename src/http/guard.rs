//! Who may see what only people look at.

use axum::{
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::Response,
};

use super::{App, text};

/// What is answered where a password is asked for and was not shown; `None`
/// where the door is open.
pub(super) fn refusal(app: &App, headers: &HeaderMap) -> Option<Response> {
    let password = app.password.as_ref()?;
    if password.is_shown_in(headers) {
        return None;
    }
    let said =
        "show the password (http.password): any user name with it, or Authorization: Bearer\n";
    let mut response = text(StatusCode::UNAUTHORIZED, said);
    let challenge = HeaderValue::from_static("Basic realm=\"reliquary\", charset=\"UTF-8\"");
    response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    Some(response)
}
