//! What a caller asks, as an attempt: the only place of the room that reads messages of the contract.

use std::{collections::HashSet, net::IpAddr};

use homeroom_api::{
    common::v1::ErrorReason,
    ids::{OrganizationId, UserId},
    invitations::v1::{BatchRedeemRequest, PreviewRedemptionRequest, RedeemRequest},
    names::OrganizationName,
};
use homeroom_kit::{
    Error, Result,
    auth::{Caller, Scope},
    keys::KeyRing,
    person,
    request_ids::{BodyMac, RequestKey},
    validation::Violations,
};
use uuid::Uuid;

use super::ledger::{Person, RedemptionRequest};
use crate::domain::{
    credential::{Credential, MAX_CREDENTIAL_BYTES},
    decide::Facts,
    email::EmailAddress,
    public_url::PublicUrl,
};

/// Requests of one batch at most.
pub const BATCH_REQUESTS_MAX: usize = 500;

/// One attempt, valid in itself. It holds a secret: no Debug.
#[derive(Clone)]
pub struct Attempt {
    /// What was typed or pasted.
    pub credential: Credential,
    /// The organization that the request names.
    pub organization: Option<OrganizationId>,
    /// Who gets in.
    pub person: Person,
    /// What the domain decides by.
    pub facts: Facts,
    /// The address of the person's device, where it is known.
    pub address: Option<IpAddr>,
    /// The request id, if one was given.
    pub request: Option<RedemptionRequest>,
    /// The subject of the caller's token.
    pub calling_service: String,
    /// The organizations that the caller's token is bound to.
    pub bound_to: Option<Vec<OrganizationId>>,
}

impl Attempt {
    /// Reads a Redeem request. Input comes first, all violations at once; then scopes.
    /// `prefix` goes before the fields' names (`requests[3].`).
    pub fn of_redeem(
        caller: &Caller,
        request: &RedeemRequest,
        prefix: &str,
        public_url: &PublicUrl,
        keys: &KeyRing,
    ) -> Result<Self> {
        let mut violations = Violations::new();
        let field = |name: &str| format!("{prefix}{name}");
        let request_id = given(&request.request_id).and_then(|id| {
            violations.take(
                &field("request_id"),
                Uuid::try_parse(id).map_err(|_| "is not a UUID"),
            )
        });
        let credential = credential(
            &mut violations,
            &field("credential"),
            &request.credential,
            public_url,
        );
        let organization = given(&request.organization).and_then(|name| {
            let parsed = OrganizationName::parse(name).map(|name| name.0);
            violations.take(&field("organization"), parsed)
        });
        let client_ip = given(&request.client_ip).and_then(|address| {
            let parsed = address
                .parse::<IpAddr>()
                .map_err(|_| "is not an IP address");
            violations.take(&field("client_ip"), parsed)
        });
        let believed = believed(caller, request, &mut violations, prefix);
        violations.finish()?;
        let (Some(credential), Some((facts, display_name))) = (credential, believed) else {
            return Err(Error::internal("a violation was not recorded"));
        };
        if facts.user != caller.user {
            caller.require(Scope::ActAs)?;
        }
        let forwarded = client_ip.filter(|_| caller.has(Scope::ForwardIp));
        // Who acts for others calls from its own address, never from the person's.
        let for_another = caller.acting_for_another || facts.user != caller.user;
        let peer = caller.client_address.filter(|_| !for_another);
        Ok(Self {
            credential,
            organization,
            person: Person {
                user: facts.user.clone(),
                display_name,
                email: facts
                    .email
                    .as_ref()
                    .map(ToString::to_string)
                    .unwrap_or_default(),
                // One that cannot be kept still decides, exactly as it is claimed.
                external_id: facts
                    .external_id
                    .as_deref()
                    .and_then(|id| person::external_id(id).ok())
                    .unwrap_or_default(),
            },
            facts,
            address: forwarded.or(peer),
            request: request_id.map(|id| RedemptionRequest {
                key: RequestKey::new(caller, id),
                body: BodyMac::of(keys, request),
            }),
            calling_service: caller.subject.clone(),
            bound_to: caller.organizations.clone(),
        })
    }

    /// Reads a preview: a Redeem request without a request id.
    pub fn of_preview(
        caller: &Caller,
        request: PreviewRedemptionRequest,
        public_url: &PublicUrl,
        keys: &KeyRing,
    ) -> Result<Self> {
        let request = RedeemRequest {
            credential: request.credential,
            organization: request.organization,
            user: request.user,
            sign_up: request.sign_up,
            client_ip: request.client_ip,
            request_id: String::new(),
        };
        Self::of_redeem(caller, &request, "", public_url, keys)
    }

    /// Reads each request of a batch by itself. What is wrong with the batch is `INVALID_REQUEST`.
    pub fn of_batch(
        caller: &Caller,
        batch: &BatchRedeemRequest,
        public_url: &PublicUrl,
        keys: &KeyRing,
    ) -> Result<Vec<Result<Self>>> {
        check(batch)?;
        caller.require(Scope::ActAs)?;
        let requests = batch.requests.iter().enumerate();
        Ok(requests
            .map(|(index, request)| {
                Self::of_redeem(
                    caller,
                    request,
                    &format!("requests[{index}]."),
                    public_url,
                    keys,
                )
            })
            .collect())
    }
}

/// Returns the text of a field, unless it is left out.
fn given(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

fn credential(
    violations: &mut Violations,
    field: &str,
    text: &str,
    public_url: &PublicUrl,
) -> Option<Credential> {
    let in_bounds = violations.check(!text.trim().is_empty(), field, "is required")
        && violations.check(
            text.len() <= MAX_CREDENTIAL_BYTES,
            field,
            format!("is longer than {MAX_CREDENTIAL_BYTES} bytes"),
        );
    if !in_bounds {
        return None;
    }
    Credential::parse(text, public_url)
        .map_err(|malformed| {
            violations.add_reason(ErrorReason::CodeMalformed, field, malformed.to_string());
        })
        .ok()
}

/// Returns who gets in, and by what name. Without `user` it is the acting user, as its claims have it. What a
/// request says of a person is believed from callers that act for others, and proofs only from those that vouch.
fn believed(
    caller: &Caller,
    request: &RedeemRequest,
    violations: &mut Violations,
    prefix: &str,
) -> Option<(Facts, String)> {
    let vouched = caller.has(Scope::Vouch);
    let nobody = |user: UserId| Facts {
        user,
        email: None,
        email_verified: false,
        external_id: None,
        vouched,
        sign_up: request.sign_up,
        guess_guarded: false,
        has_use: false,
        known: false,
    };
    // An address that cannot be read is none.
    let claimed = || {
        let email = caller
            .email
            .as_deref()
            .and_then(|email| EmailAddress::parse(email).ok());
        Facts {
            email_verified: email.is_some() && caller.email_verified,
            email,
            external_id: caller.external_id.clone().filter(|id| !id.is_empty()),
            ..nobody(caller.user.clone())
        }
    };
    let claimed_name = || person::display_name(caller.display_name.as_deref().unwrap_or_default());
    let Some(told) = request.user.as_ref() else {
        return Some((claimed(), claimed_name()));
    };
    let field = |name: &str| format!("{prefix}user.{name}");
    let user = violations.take(&field("user"), UserId::parse_person(&told.user));
    let external_id = violations.external_id(&field("external_id"), &told.external_id);
    let email = given(&told.email).and_then(|email| {
        EmailAddress::parse(email)
            .map_err(|malformed| {
                let reason = ErrorReason::EmailMalformed;
                violations.add_reason(reason, &field("email"), malformed.to_string());
            })
            .ok()
    });
    let user = user?;
    let (mut facts, mut display_name) = if user == caller.user {
        (claimed(), claimed_name())
    } else {
        (nobody(user), String::new())
    };
    let told_name = person::display_name(&told.display_name);
    if !told_name.is_empty() {
        display_name = told_name;
    }
    if caller.has(Scope::ActAs) {
        if email.is_some() {
            facts.email = email;
            facts.email_verified = told.email_verified && vouched;
        }
        if vouched && !external_id.is_empty() {
            facts.external_id = Some(external_id);
        }
    }
    Some((facts, display_name))
}

/// Checks what concerns the batch as a whole.
fn check(batch: &BatchRedeemRequest) -> Result<()> {
    let mut violations = Violations::new();
    violations.check(
        (1..=BATCH_REQUESTS_MAX).contains(&batch.requests.len()),
        "requests",
        format!("must hold 1 to {BATCH_REQUESTS_MAX} requests"),
    );
    let mut request_ids = HashSet::new();
    for (index, request) in batch.requests.iter().enumerate().take(BATCH_REQUESTS_MAX) {
        violations.check(
            request.user.is_some(),
            &format!("requests[{index}].user"),
            "is required",
        );
        violations.check(
            request.request_id.is_empty()
                || request_ids.insert(
                    Uuid::try_parse(&request.request_id)
                        .map_or_else(|_| request.request_id.clone(), |id| id.to_string()),
                ),
            &format!("requests[{index}].request_id"),
            "is that of another request of this batch",
        );
    }
    violations.finish()
}

#[cfg(test)]
mod tests {
    use homeroom_api::common::v1::User;

    use super::*;

    fn batch(count: usize) -> BatchRedeemRequest {
        let request = RedeemRequest {
            user: Some(User::default()),
            ..RedeemRequest::default()
        };
        BatchRedeemRequest {
            requests: vec![request; count],
        }
    }

    #[test]
    fn a_batch_holds_1_to_500_requests() {
        for (count, right) in [(0, false), (1, true), (500, true), (501, false)] {
            assert_eq!(check(&batch(count)).is_ok(), right, "{count}");
        }
    }

    #[test]
    fn every_request_of_a_batch_names_its_user_and_its_own_request_id() {
        let mut batch = batch(4);
        batch.requests[0].user = None;
        batch.requests[1].request_id = "01900000-0000-7000-8000-00000000000a".to_owned();
        batch.requests[2].request_id = "01900000-0000-7000-8000-00000000000A".to_owned();
        // One id may be written several ways.
        batch.requests[3].request_id = "0190000000007000800000000000000a".to_owned();
        let error = check(&batch).unwrap_err();
        assert_eq!(error.reason(), ErrorReason::InvalidRequest);
        let fields: Vec<&str> = error
            .field_violations()
            .iter()
            .map(|found| found.field.as_str())
            .collect();
        assert_eq!(
            fields,
            [
                "requests[0].user",
                "requests[2].request_id",
                "requests[3].request_id"
            ]
        );
    }
}
