//! The events that more than one use case writes: each is built in one place.

use std::collections::BTreeMap;

use homeroom_kit::outbox::NewEvent;

use crate::domain::{
    join_request::{JoinRequest, State},
    member::{Member, Role},
};

/// Returns `member.joined`, with how the membership came about (R6).
pub(crate) fn member_joined(member: &Member, actor: &str) -> NewEvent {
    let data = [
        ("user", member.user.as_str()),
        ("role", member.role.as_str()),
        ("method", member.provenance.method.as_str()),
        ("invitation", member.provenance.invitation.as_str()),
        ("redemption", member.provenance.redemption.as_str()),
    ];
    let subject = member.name().to_string();
    NewEvent::new("member.joined", &member.place, subject, actor, facts(data))
}

/// Returns `member.updated`, with the previous role if it changed.
pub(crate) fn member_updated(member: &Member, previous: Role, actor: &str) -> NewEvent {
    let previous = if previous == member.role {
        ""
    } else {
        previous.as_str()
    };
    let data = [
        ("user", member.user.as_str()),
        ("role", member.role.as_str()),
        ("previous_role", previous),
    ];
    let subject = member.name().to_string();
    NewEvent::new("member.updated", &member.place, subject, actor, facts(data))
}

/// Returns `member.left` for a person who left, `member.removed` for one whom somebody else removed (R8).
pub(crate) fn member_ended(member: &Member, actor: &str) -> NewEvent {
    let event_type = if member.user.as_str() == actor {
        "member.left"
    } else {
        "member.removed"
    };
    let data = [
        ("user", member.user.as_str()),
        ("role", member.role.as_str()),
    ];
    let subject = member.name().to_string();
    NewEvent::new(event_type, &member.place, subject, actor, facts(data))
}

/// Returns those facts of an event that are not empty.
pub(crate) fn facts<const FACTS: usize>(facts: [(&str, &str); FACTS]) -> BTreeMap<String, String> {
    facts
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

/// Returns the event for the state of a request. It notifies the person of a decision.
pub(crate) fn request_event(request: &JoinRequest, actor: &str) -> NewEvent {
    let notify = match request.state {
        State::Approved | State::Denied => vec![request.user.clone()],
        _ => Vec::new(),
    };
    let (kind, subject) = (request.state.event_type(), request.name().to_string());
    NewEvent {
        notify,
        ..NewEvent::new(kind, &request.place, subject, actor, request.event_data())
    }
}
