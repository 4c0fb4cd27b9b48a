//! Reads the names and secrets that an answer reveals, by its descriptor.

use homeroom_api::{
    invitations::v1::{
        BatchRedeemResponse, RedeemResponse, batch_redeem_response::result::Outcome,
    },
    membership::v1::PlanImportResponse,
};
use prost::Message as _;
use prost_reflect::{DynamicMessage, MethodDescriptor, ReflectMessage as _, Value};

use crate::world::{Acknowledged, World};

/// The fields of invitations that hold secrets.
#[rustfmt::skip]
const SECRETS: &[&str] = &["code", "full_code", "invite_url", "join_link", "phrase", "token", "url"];

/// Returns the fields of an invitation that hold its secrets; none for any other message.
fn secrets_of(message: &DynamicMessage) -> Vec<&'static str> {
    let descriptor = message.descriptor();
    let has = |field: &str| descriptor.get_field_by_name(field).is_some();
    // By itself, the code of one organization may be that of another.
    let alone = |field: &str| field == "code" && has("full_code");
    let secrets = SECRETS.iter().copied();
    let secrets = secrets.filter(|field| has(field) && !alone(field));
    secrets.filter(|_| has("etag")).collect()
}

/// Returns the text of a field; empty if there is no such field.
fn text(message: &DynamicMessage, field: &str) -> String {
    let value = message.get_field_by_name(field);
    let text = value.and_then(|value| value.as_str().map(str::to_owned));
    text.unwrap_or_default()
}

/// Decodes an answer and returns it with all messages in it.
fn messages(method: &MethodDescriptor, answer: &[u8]) -> Vec<DynamicMessage> {
    fn add(value: &Value, to: &mut Vec<DynamicMessage>) {
        match value {
            Value::Message(message) => {
                message.fields().for_each(|(_, value)| add(value, to));
                to.push(message.clone());
            }
            Value::List(values) => values.iter().for_each(|value| add(value, to)),
            _ => {}
        }
    }
    let mut all = Vec::new();
    let decoded = DynamicMessage::decode(method.output(), answer).unwrap();
    add(&Value::Message(decoded), &mut all);
    all
}

/// Records what an answer reveals.
pub fn learn(world: &mut World, method: &MethodDescriptor, answer: &[u8]) {
    for message in messages(method, answer) {
        if message
            .descriptor()
            .get_field_by_name("next_page_token")
            .is_some()
        {
            let next = text(&message, "next_page_token");
            world.page_tokens.insert(method.name().to_owned(), next);
        }
        let name = text(&message, "name");
        if !name.starts_with(&format!("organizations/{}-", world.tag)) {
            continue;
        }
        world.note(&name);
        for field in secrets_of(&message) {
            world.hand_out(&text(&message, field), &name);
        }
        if message.descriptor().get_field_by_name("etag").is_some() {
            world.etags.insert(name, text(&message, "etag"));
        }
    }
}

/// Returns the request that carries out a plan of an import.
pub fn to_commit(asked: &str, answer: &[u8]) -> Option<serde_json::Value> {
    let plan = PlanImportResponse::decode(answer).ok()?;
    let mut commit: serde_json::Value = serde_json::from_str(asked).ok()?;
    let fields = commit.as_object_mut()?;
    fields.remove("seats_planned");
    fields.insert("revision".to_owned(), plan.revision.into());
    Some(commit)
}

/// Returns the part of an answer that must be equal in both answers to one request id (R3): secrets
/// may have ended in between.
pub fn same(method: &MethodDescriptor, answer: &[u8]) -> Vec<u8> {
    let all = messages(method, answer);
    let with_secrets = all.iter().filter(|message| !secrets_of(message).is_empty());
    let told: Vec<String> = with_secrets
        .map(|message| format!("{} {}", text(message, "name"), text(message, "etag")))
        .collect();
    if told.is_empty() {
        answer.to_vec()
    } else {
        told.join("\n").into_bytes()
    }
}

/// Returns the failures in an answer of a method that does many things.
pub fn failures(method: &MethodDescriptor, answer: &[u8]) -> Vec<tonic_types::Status> {
    let all = messages(method, answer);
    let failures = all
        .iter()
        .filter(|message| message.descriptor().full_name() == "google.rpc.Status");
    failures
        .map(|message| tonic_types::Status::decode(message.encode_to_vec().as_slice()).unwrap())
        .collect()
}

/// Returns the redemptions in an answer, `None` for a failure; empty for methods that redeem
/// nothing.
pub fn redeemed(name: &str, answer: &[u8]) -> Vec<Option<RedeemResponse>> {
    match name {
        "Redeem" => vec![RedeemResponse::decode(answer).ok()],
        "BatchRedeem" => {
            let response = BatchRedeemResponse::decode(answer).unwrap_or_default();
            let results = response.results.into_iter();
            let redeemed = results.map(|result| match result.outcome {
                Some(Outcome::Redemption(redemption)) => Some(redemption),
                _ => None,
            });
            redeemed.collect()
        }
        _ => Vec::new(),
    }
}

/// Returns the caller's record of the answer.
#[must_use]
pub fn acknowledged(response: &RedeemResponse, user: &str) -> Acknowledged {
    let place = if response.class.is_empty() {
        &response.organization
    } else {
        &response.class
    };
    Acknowledged {
        redemption: response.redemption.clone(),
        outcome: response.outcome().as_str_name(),
        place: place.clone(),
        user: user.to_owned(),
    }
}
