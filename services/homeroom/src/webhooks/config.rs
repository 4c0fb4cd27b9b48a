//! The file of the endpoints.

use std::{collections::BTreeSet, fs, path::Path};

use chrono::{DateTime, Utc};
use homeroom_api::{ids::OrganizationId, names::OrganizationName};
use homeroom_kit::{key_files::read_text, outbox::event_types};
use serde::Deserialize;
use url::Url;

use super::{schedule::RETRY_SECONDS_DEFAULT, signature::Secrets};
use crate::{Failure, similar::by_similarity};

/// The most endpoints.
const ENDPOINTS_MAX: usize = 50;
/// The most organizations, and the most types, of an endpoint.
const FILTER_ITEMS_MAX: usize = 100;
/// The most characters of an endpoint's id.
const ID_CHARS_MAX: usize = 63;
/// The most bytes of a URL.
const URL_BYTES_MAX: usize = 2_048;
/// The most pauses between attempts.
const RETRIES_MAX: usize = 20;
/// The shortest pause between attempts, in seconds.
const RETRY_SECONDS_MIN: u32 = 1;
/// The longest pause between attempts, in seconds: a week.
const RETRY_SECONDS_MAX: u32 = 604_800;
/// The parent of a feed that has the events of every organization.
const EVERY_ORGANIZATION: &str = "organizations/-";

/// An endpoint. Its URL may hold a secret, so it has no Debug.
#[derive(Clone)]
pub(crate) struct Endpoint {
    pub(crate) id: String,
    pub(crate) url: Url,
    pub(crate) secrets: Secrets,
    /// The parents whose feeds it is sent.
    pub(crate) parents: Vec<String>,
    /// The types of events that it is sent; empty for all.
    pub(crate) types: BTreeSet<String>,
    /// Events of an earlier time are not delivered; None means those before it was first seen.
    pub(crate) since: Option<DateTime<Utc>>,
    pub(crate) allow_private_networks: bool,
    pub(crate) retry_seconds: Vec<u32>,
}

/// The file as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    endpoints: Vec<WrittenEndpoint>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenEndpoint {
    id: String,
    url: String,
    secret_file: String,
    #[serde(default)]
    organizations: Vec<String>,
    #[serde(default)]
    types: Vec<String>,
    since: Option<DateTime<Utc>>,
    #[serde(default)]
    allow_private_networks: bool,
    retry_seconds: Option<Vec<u32>>,
}

/// Reads the file, and the secrets that it names; a relative path begins at the folder of the file. The error names
/// every mistake.
pub(crate) fn load(path: &Path) -> Result<Vec<Endpoint>, Failure> {
    let shown = path.display();
    let text = fs::read_to_string(path).map_err(|error| format!("{shown}: {error}"))?;
    let folder = path.parent().unwrap_or(Path::new(""));
    read(&text, folder).map_err(|wrong| {
        let wrong = wrong.join("\n  ");
        format!("{shown} cannot be used:\n  {wrong}").into()
    })
}

fn read(text: &str, folder: &Path) -> Result<Vec<Endpoint>, Vec<String>> {
    let mut json = serde_json::Deserializer::from_str(text);
    let written: Written =
        serde_path_to_error::deserialize(&mut json).map_err(|error| vec![error.to_string()])?;
    json.end().map_err(|error| vec![error.to_string()])?;
    let mut wrong = Vec::new();
    if !(1..=ENDPOINTS_MAX).contains(&written.endpoints.len()) {
        wrong.push(format!("endpoints: has 1 to {ENDPOINTS_MAX} items"));
    }
    let mut ids = BTreeSet::new();
    let mut endpoints = Vec::new();
    for (index, written) in written.endpoints.into_iter().enumerate() {
        let mut errors = Vec::new();
        if !ids.insert(written.id.clone()) {
            errors.push("id: is another endpoint's too".to_owned());
        }
        endpoints.extend(endpoint(written, folder, &mut errors));
        let of = |error| format!("endpoints[{index}].{error}");
        wrong.extend(errors.into_iter().map(of));
    }
    if wrong.is_empty() {
        Ok(endpoints)
    } else {
        Err(wrong)
    }
}

fn endpoint(written: WrittenEndpoint, folder: &Path, errors: &mut Vec<String>) -> Option<Endpoint> {
    let plain = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit();
    let id = written.id;
    if !(1..=ID_CHARS_MAX).contains(&id.len()) || !id.chars().all(|one| plain(one) || one == '-') {
        errors.push(format!(
            "id: has 1 to {ID_CHARS_MAX} lowercase letters, digits and hyphens"
        ));
    }
    let mut bounded = |name: &str, count: usize| {
        if count > FILTER_ITEMS_MAX {
            errors.push(format!("{name}: has at most {FILTER_ITEMS_MAX} items"));
        }
    };
    bounded("organizations", written.organizations.len());
    bounded("types", written.types.len());
    let mut parents = Vec::new();
    for id in written.organizations {
        match OrganizationId::parse(&id) {
            Ok(id) => parents.push(OrganizationName(id).to_string()),
            Err(_) => errors.push(format!(
                "organizations: {id:?} is not the id of an organization"
            )),
        }
    }
    parents.sort();
    parents.dedup();
    if parents.is_empty() {
        parents.push(EVERY_ORGANIZATION.to_owned());
    }
    let known: Vec<String> = event_types::all().collect();
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    for one in &written.types {
        if !known.contains(&one.as_str()) {
            let choices = by_similarity(one, &known);
            errors.push(format!(
                "types: {one:?} is no type of event; the types are {choices}"
            ));
        }
    }
    let retry_seconds = written
        .retry_seconds
        .unwrap_or_else(|| RETRY_SECONDS_DEFAULT.to_vec());
    let pauses = RETRY_SECONDS_MIN..=RETRY_SECONDS_MAX;
    if retry_seconds.len() > RETRIES_MAX || !retry_seconds.iter().all(|one| pauses.contains(one)) {
        errors.push(format!(
            "retry_seconds: has at most {RETRIES_MAX} numbers of {RETRY_SECONDS_MIN} to {RETRY_SECONDS_MAX}"
        ));
    }
    let secrets = read_text(&folder.join(written.secret_file))
        .map_err(|error| format!("secret_file: cannot be read: {error}"))
        .and_then(|text| Secrets::parse(&text).map_err(|error| format!("secret_file: {error}")));
    let secrets = secrets.map_err(|error| errors.push(error)).ok();
    let allow_private_networks = written.allow_private_networks;
    let url = target(&written.url, allow_private_networks);
    let url = url
        .map_err(|error| errors.push(format!("url: {error}")))
        .ok();
    let (url, secrets) = url.zip(secrets)?;
    Some(Endpoint {
        id,
        url,
        secrets,
        parents,
        types: written.types.into_iter().collect(),
        since: written.since,
        allow_private_networks,
        retry_seconds,
    })
}

impl Endpoint {
    /// Returns true if it is called over TLS.
    pub(crate) fn is_https(&self) -> bool {
        self.url.scheme() == "https"
    }
}

/// Parses the URL of an endpoint. The error completes "url: …" and does not repeat the text.
fn target(text: &str, allow_private_networks: bool) -> Result<Url, &'static str> {
    const EXPECTED: &str = "must be https://host/path of at most 2048 bytes, without user or fragment; with \
                            allow_private_networks, http:// is possible";
    if text.len() > URL_BYTES_MAX {
        return Err(EXPECTED);
    }
    let url = Url::parse(text).map_err(|_| EXPECTED)?;
    let is_permitted = url.scheme() == "https" || url.scheme() == "http" && allow_private_networks;
    let has_user = !url.username().is_empty() || url.password().is_some();
    if !is_permitted || url.host().is_none() || has_user || url.fragment().is_some() {
        return Err(EXPECTED);
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read_json(json: &Value) -> Result<Vec<Endpoint>, Vec<String>> {
        let folder = tempfile::tempdir().unwrap();
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n";
        fs::write(folder.path().join("secret"), secret).unwrap();
        read(&json.to_string(), folder.path())
    }

    fn with(field: &str, value: Value) -> Result<Endpoint, Vec<String>> {
        let mut endpoint =
            json!({"id": "crm", "url": "https://crm.example/hook", "secret_file": "secret"});
        endpoint[field] = value;
        let read = read_json(&json!({"endpoints": [endpoint]}));
        read.map(|endpoints| endpoints.into_iter().next().unwrap())
    }

    #[test]
    fn an_endpoint_needs_an_id_a_url_and_a_secret() {
        let endpoint = with("types", json!([])).ok().unwrap();
        assert_eq!(endpoint.parents, ["organizations/-"]);
        assert_eq!(endpoint.retry_seconds, RETRY_SECONDS_DEFAULT);
        assert!(endpoint.is_https());
        assert!(endpoint.since.is_none() && !endpoint.allow_private_networks);
        let organizations = with("organizations", json!(["hamilton", "ada", "ada"]));
        let parents = organizations.ok().unwrap().parents;
        assert_eq!(parents, ["organizations/ada", "organizations/hamilton"]);
    }

    #[test]
    fn every_mistake_is_named_at_once_and_no_url_is_repeated() {
        let good = json!({"id": "a", "url": "https://a.example/", "secret_file": "secret"});
        let wrong = json!({
            "id": "a", "url": "http://hunter2.example/", "secret_file": "absent", "organizations": ["-"],
            "types": ["joined"], "retry_seconds": [0]
        });
        let said = read_json(&json!({"endpoints": [good, wrong]}));
        let said = said.err().unwrap();
        let fields = [
            "id",
            "organizations",
            "types",
            "retry_seconds",
            "secret_file",
            "url",
        ];
        assert_eq!(said.len(), fields.len(), "{said:?}");
        for (said, field) in said.iter().zip(fields) {
            assert!(
                said.starts_with(&format!("endpoints[1].{field}: ")),
                "{said}"
            );
            assert!(!said.contains("hunter2"));
        }
    }

    #[test]
    fn an_unknown_or_mistyped_field_is_named() {
        let said = |field, value| with(field, value).err().unwrap().concat();
        assert!(said("secret", json!("x")).contains("endpoints[0]"));
        assert!(said("types", json!("member.joined")).contains("endpoints[0].types"));
        assert!(said("since", json!("yesterday")).contains("endpoints[0].since"));
    }

    #[test]
    fn a_misspelled_type_is_answered_with_the_types_and_the_nearest_first() {
        let said = with("types", json!(["member.joined", "member.join"]));
        let said = said.err().unwrap().concat();
        let expected = "\"member.join\" is no type of event; the types are member.joined, ";
        assert!(said.contains(expected), "{said}");
        assert!(said.contains("guess_guard.closed"), "{said}");
        assert!(with("types", json!(["user.erased", "redemption.queued"])).is_ok());
    }

    #[test]
    fn plain_http_needs_allowed_private_networks() {
        assert!(with("url", json!("http://10.0.0.1/")).is_err());
        let endpoint = json!({
            "id": "a", "url": "http://10.0.0.1:8080/a?b", "secret_file": "secret", "allow_private_networks": true
        });
        let endpoints = read_json(&json!({"endpoints": [endpoint]})).ok().unwrap();
        assert!(!endpoints[0].is_https());
        for wrong in [
            "ftp://a.example/",
            "https://user@a.example/",
            "https://a.example/#b",
            "a.example",
        ] {
            assert!(with("url", json!(wrong)).is_err(), "{wrong}");
        }
    }

    #[test]
    fn everything_in_the_file_is_bounded() {
        let long = |bytes: usize| format!("https://a.example/{}", "a".repeat(bytes - 18));
        let many = |count: usize| {
            json!(
                (0..count)
                    .map(|one| format!("school{one}"))
                    .collect::<Vec<_>>()
            )
        };
        let types = |count: usize| json!(vec!["member.joined"; count]);
        for (field, most, beyond) in [
            (
                "id",
                json!("a".repeat(ID_CHARS_MAX)),
                json!("a".repeat(ID_CHARS_MAX + 1)),
            ),
            (
                "url",
                json!(long(URL_BYTES_MAX)),
                json!(long(URL_BYTES_MAX + 1)),
            ),
            (
                "organizations",
                many(FILTER_ITEMS_MAX),
                many(FILTER_ITEMS_MAX + 1),
            ),
            (
                "types",
                types(FILTER_ITEMS_MAX),
                types(FILTER_ITEMS_MAX + 1),
            ),
            (
                "retry_seconds",
                json!(vec![1; RETRIES_MAX]),
                json!(vec![1; RETRIES_MAX + 1]),
            ),
            (
                "retry_seconds",
                json!([RETRY_SECONDS_MIN]),
                json!([RETRY_SECONDS_MIN - 1]),
            ),
            (
                "retry_seconds",
                json!([RETRY_SECONDS_MAX]),
                json!([RETRY_SECONDS_MAX + 1]),
            ),
        ] {
            assert!(with(field, most).is_ok(), "{field}");
            assert!(with(field, beyond).is_err(), "{field}");
        }
        let endpoints = |count: usize| {
            let one = |index| json!({"id": format!("a{index}"), "url": "https://a.example/", "secret_file": "secret"});
            read_json(&json!({"endpoints": (0..count).map(one).collect::<Vec<_>>()}))
        };
        assert!(endpoints(ENDPOINTS_MAX).is_ok());
        assert!(endpoints(ENDPOINTS_MAX + 1).is_err() && endpoints(0).is_err());
    }
}
