//! One step of the story: the caller, the call and the expected result.

use homeroom_kit::auth::Scope;
use serde_json::Value;

/// A caller, by the claims of their access token.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Actor {
    pub(crate) user: &'static str,
    /// The email address, verified by the token's issuer.
    pub(crate) email: Option<&'static str>,
    pub(crate) scopes: &'static [Scope],
}

impl Actor {
    pub(crate) const fn person(user: &'static str) -> Self {
        Self {
            user,
            email: None,
            scopes: &[],
        }
    }

    pub(crate) const fn with_email(user: &'static str, email: &'static str) -> Self {
        Self {
            user,
            email: Some(email),
            scopes: &[],
        }
    }
}

/// The expected result of a step.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Outcome {
    /// An answer with these values, by path: `member.role`; `joinRequests.#` is a count.
    Answer(&'static [(&'static str, &'static str)]),
    /// An error of this gRPC code with this reason.
    Refusal(tonic::Code, &'static str),
}

/// One call of the story.
#[derive(Debug)]
pub(crate) struct Step {
    /// One line of the story.
    pub(crate) says: &'static str,
    pub(crate) by: Actor,
    /// `Service/Method`.
    pub(crate) calls: &'static str,
    /// The request in the form of `buf curl -d`.
    pub(crate) with: Value,
    /// Paths of the answer that are shown in addition to the checked ones.
    pub(crate) shows: &'static [&'static str],
    pub(crate) comes_out: Outcome,
}

/// Returns the value at a path such as `member.role`, `joinRequests.0.name` or `joinRequests.#`, in
/// readable form.
pub(crate) fn at(json: &Value, path: &str) -> Option<String> {
    let mut value = json;
    for part in path.split('.') {
        if part == "#" {
            return value.as_array().map(|list| list.len().to_string());
        }
        value = match part.parse::<usize>() {
            Ok(index) => value.get(index)?,
            Err(_) => value.get(part)?,
        };
    }
    Some(match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        Value::Array(items) => {
            let texts: Vec<String> = items
                .iter()
                .map(|item| {
                    item.as_str()
                        .map_or_else(|| item.to_string(), ToOwned::to_owned)
                })
                .collect();
            texts.join(", ")
        }
        other => other.to_string(),
    })
}

/// Returns the differences between the answer and the expected values, one a line.
pub(crate) fn differences(answer: &Value, expected: &[(&str, &str)]) -> Vec<String> {
    expected
        .iter()
        .filter_map(|(path, wanted)| {
            let found = at(answer, path);
            (found.as_deref() != Some(wanted)).then(|| match found {
                Some(found) => format!("{path} is {found:?}, it must be {wanted:?}"),
                None => format!("{path} is not there, it must be {wanted:?}"),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_path_reaches_into_messages_and_lists() {
        let answer = json!({"member": {"role": "STUDENT"}, "list": [{"n": 1}, {"n": 2}], "tell": ["a", "b"], "off": false});
        assert_eq!(at(&answer, "member.role").as_deref(), Some("STUDENT"));
        assert_eq!(at(&answer, "list.#").as_deref(), Some("2"));
        assert_eq!(at(&answer, "list.1.n").as_deref(), Some("2"));
        assert_eq!(at(&answer, "tell").as_deref(), Some("a, b"));
        assert_eq!(at(&answer, "off").as_deref(), Some("false"));
        assert_eq!(at(&answer, "member.name"), None);
    }

    #[test]
    fn what_differs_is_named() {
        let answer = json!({"state": "LOCKED"});
        assert!(differences(&answer, &[("state", "LOCKED")]).is_empty());
        assert_eq!(
            differences(&answer, &[("state", "UNLOCKED"), ("code", "x")]),
            [
                "state is \"LOCKED\", it must be \"UNLOCKED\"",
                "code is not there, it must be \"x\""
            ]
        );
    }
}
