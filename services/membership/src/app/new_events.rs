//! The events that more than one use case writes: each is built in one place.

use homeroom_kit::outbox::NewEvent;

use crate::domain::{
    join_request::{JoinRequest, State},
    member::Member,
};

/// `member.joined`, with how it came about (R6).
pub(crate) fn member_joined(member: &Member, actor: &str) -> NewEvent {
    let data = [
        ("user", member.user.as_str()),
        ("role", member.role.as_str()),
        ("method", member.provenance.method.as_str()),
        ("invitation", member.provenance.invitation.as_str()),
        ("redemption", member.provenance.redemption.as_str()),
    ];
    NewEvent {
        event_type: "member.joined",
        organization: member.place.organization().clone(),
        class: member.place.class().cloned(),
        subject: member.name().to_string(),
        actor: actor.to_owned(),
        notify: Vec::new(),
        data: data
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect(),
    }
}

/// Tells of what has become of a request. The person is told of a decision.
pub(crate) fn request_event(request: &JoinRequest, actor: &str) -> NewEvent {
    let notify = match request.state {
        State::Approved | State::Denied => vec![request.user.clone()],
        _ => Vec::new(),
    };
    NewEvent {
        event_type: request.state.event_type(),
        organization: request.place.organization().clone(),
        class: request.place.class().cloned(),
        subject: request.name().to_string(),
        actor: actor.to_owned(),
        notify,
        data: request.event_data(),
    }
}
