//! Properties that must hold for any input, hostile or broken: one module for each parser of input from strangers. Each
//! has one function, `check`, which panics if a property does not hold; `fuzz_targets` calls it with libFuzzer's
//! inputs.

#![forbid(unsafe_code)]

// The original source, compiled here so that all of it is instrumented without the rest of the service.
#[path = "../../../services/invitations/src/domain/mod.rs"]
pub mod domain;

pub mod access_token;
pub mod credential;
pub mod domain_rule;
pub mod email;
pub mod filter;
pub mod page_token;
pub mod phrase;
pub mod public_url;
pub mod resource_names;
pub mod strength;
pub mod typed_code;

/// Returns the input as text, with replacement characters for bytes that are not UTF-8.
pub(crate) fn text(data: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(data)
}

/// Returns the input's first line, and the rest.
pub(crate) fn two(text: &str) -> (&str, &str) {
    text.split_once('\n').unwrap_or((text, ""))
}
