//! Who may talk to the page: browsers that show it, and programs on this machine; not the pages of
//! others that are open in the same browser.

use std::net::SocketAddr;

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::Response,
};
use service::http::answer;

use super::Face;

/// Nothing from elsewhere is loaded, sent to or shown in; no page of others frames this one.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'",
);

/// Answers a request that may be, and adds what browsers must know of every answer.
pub(super) async fn guarded(State(face): State<Face>, request: Request, next: Next) -> Response {
    let mut response = match check(face.address, request.method(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err((status, why)) => answer::failure(status, why),
    };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, POLICY);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

/// A name that others made point here would let their pages read this one, so the host must be ours;
/// a form of theirs could publish, so what is posted must come from this page and be JSON.
fn check(
    own: SocketAddr,
    method: &Method,
    headers: &HeaderMap,
) -> Result<(), (StatusCode, String)> {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let port = own.port();
    let names = [own.to_string(), format!("localhost:{port}")];
    let Some(host) = text(header::HOST).filter(|host| names.iter().any(|name| name == host)) else {
        let why = format!("this page is at http://{own} only");
        return Err((StatusCode::MISDIRECTED_REQUEST, why));
    };
    if !matches!(*method, Method::GET | Method::HEAD) {
        let is_ours = |origin: &HeaderValue| {
            origin.to_str().is_ok_and(|origin| origin.strip_prefix("http://") == Some(host))
        };
        // Programs send none.
        if !headers.get(header::ORIGIN).is_none_or(is_ours) {
            return Err((StatusCode::FORBIDDEN, "a page of others may not do this".to_owned()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(method: &Method, headers: &[(header::HeaderName, &str)]) -> Option<StatusCode> {
        let own = SocketAddr::from(([127, 0, 0, 1], 8090));
        let value = |text: &str| HeaderValue::from_str(text).expect("a value");
        let headers = headers.iter().map(|(name, text)| (name.clone(), value(text))).collect();
        check(own, method, &headers).err().map(|(status, _)| status)
    }

    #[test]
    fn the_host_must_be_ours() {
        for host in ["127.0.0.1:8090", "localhost:8090"] {
            assert_eq!(checked(&Method::GET, &[(header::HOST, host)]), None, "{host}");
        }
        for host in ["evil.example:8090", "127.0.0.1", "127.0.0.1:8091", "localhost", ""] {
            let status = checked(&Method::GET, &[(header::HOST, host)]);
            assert_eq!(status, Some(StatusCode::MISDIRECTED_REQUEST), "{host}");
        }
        assert_eq!(checked(&Method::GET, &[]), Some(StatusCode::MISDIRECTED_REQUEST));
    }

    #[test]
    fn what_is_posted_comes_from_this_page_or_from_a_program() {
        let host = (header::HOST, "localhost:8090");
        let posted = |origin| checked(&Method::POST, &[host.clone(), (header::ORIGIN, origin)]);
        assert_eq!(posted("http://localhost:8090"), None);
        assert_eq!(checked(&Method::POST, std::slice::from_ref(&host)), None);
        for origin in [
            "http://evil.example",
            "http://127.0.0.1:8090",
            "https://localhost:8090",
            "http://localhost:9000",
            "null",
        ] {
            assert_eq!(posted(origin), Some(StatusCode::FORBIDDEN), "{origin}");
        }
    }
}
