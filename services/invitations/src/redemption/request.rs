//! The requests of callers, as attempts. Of the redemption modules, only this one reads messages of the contract.

use std::{collections::HashSet, net::IpAddr};

use homeroom_api::{
    common::v1::{ErrorReason, User},
    ids::{OrganizationId, UserId},
    invitations::v1::{BatchRedeemRequest, PreviewRedemptionRequest, RedeemRequest},
    names::OrganizationName,
};
use homeroom_kit::{
    Result,
    auth::{Caller, OTHERS_USER, Scope},
    keys::KeyRing,
    person,
    request_ids::{BodyMac, RequestKey},
    validation::Violations,
};
use uuid::Uuid;

use super::ledger::{Person, RedemptionRequest};
use crate::domain::{
    credential::{Credential, Malformed},
    decide::Facts,
    public_url::PublicUrl,
};

/// The maximum number of requests in one batch.
pub const BATCH_REQUESTS_MAX: usize = 500;

/// One attempt, valid in itself. It holds a secret, so it has no Debug.
#[derive(Clone)]
pub struct Attempt {
    /// The credential that was typed or pasted.
    pub credential: Credential,
    /// The organization that the request names.
    pub organization: Option<OrganizationId>,
    /// The person who gets in.
    pub person: Person,
    /// The facts for the domain's decision.
    pub facts: Facts,
    /// True if the person's data replaces that in the roster: it comes from their own token, or from a platform that
    /// vouches.
    pub refreshes_roster: bool,
    /// The address of the person's device, if it is known.
    pub address: Option<IpAddr>,
    /// The request id, if one was given.
    pub request: Option<RedemptionRequest>,
    /// The subject of the caller's token.
    pub calling_service: String,
    /// The organizations that the caller's token is limited to.
    pub bound_to: Option<Vec<OrganizationId>>,
}

impl Attempt {
    /// Reads a Redeem request. Input is checked first, with all violations at once; then scopes. `prefix` precedes the
    /// names of the fields (`requests[3].`).
    pub fn of_redeem(
        caller: &Caller,
        request: &RedeemRequest,
        prefix: &str,
        public_url: &PublicUrl,
        keys: &KeyRing,
    ) -> Result<Self> {
        let mut violations = Violations::new();
        let field = |name: &str| format!("{prefix}{name}");
        let request_id = violations.optional(&field("request_id"), &request.request_id, |id| {
            Uuid::try_parse(id).map_err(|_| "is not a UUID")
        });
        let credential = credential(
            &mut violations,
            &field("credential"),
            &request.credential,
            public_url,
        );
        let organization = violations.optional(
            &field("organization"),
            &request.organization,
            OrganizationName::parse,
        );
        let client_ip = violations.optional(&field("client_ip"), &request.client_ip, |address| {
            address
                .parse::<IpAddr>()
                .map_err(|_| "is not an IP address")
        });
        let believed = believed(caller, request, &mut violations, prefix);
        let (credential, believed) = violations.finish_with(credential.zip(believed))?;
        let (facts, display_name, refreshes_roster) = believed;
        if facts.user != caller.user {
            caller.require(Scope::ActAs)?;
        }
        let forwarded = client_ip.filter(|_| caller.has(Scope::ForwardIp));
        // A caller that acts for others calls from its own address, never from the person's.
        let for_another = caller.acting_for_another || facts.user != caller.user;
        let peer = caller.client_address.filter(|_| !for_another);
        Ok(Self {
            credential,
            organization: organization.map(|name| name.0),
            person: Person {
                user: facts.user.clone(),
                display_name,
                email: facts
                    .email
                    .as_ref()
                    .map(ToString::to_string)
                    .unwrap_or_default(),
                external_id: facts.external_id.clone().unwrap_or_default(),
            },
            facts,
            refreshes_roster,
            address: forwarded.or(peer),
            request: request_id.map(|id| RedemptionRequest {
                key: RequestKey::new(caller, id),
                body: BodyMac::of(keys, id, request),
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

    /// Reads each request of a batch independently. Violations of the batch as a whole are `INVALID_REQUEST`.
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

fn credential(
    violations: &mut Violations,
    field: &str,
    text: &str,
    public_url: &PublicUrl,
) -> Option<Credential> {
    if !violations.check(!text.trim().is_empty(), field, "is required") {
        return None;
    }
    Credential::parse(text, public_url)
        .map_err(|malformed| {
            let reason = match malformed {
                Malformed::TooLong => ErrorReason::InvalidRequest,
                _ => ErrorReason::CodeMalformed,
            };
            violations.add_reason(reason, field, malformed.to_string());
        })
        .ok()
}

/// The facts about the person who gets in, their name, and true if the data comes from the person's own token or from
/// a platform that vouches.
type Believed = (Facts, String, bool);

/// Returns the person who gets in: without `user`, the acting user, from the token's claims. A request's data about a
/// person is believed from callers that act for others, and proofs only from callers that vouch. Data that breaks its
/// bounds is left out: it stops nobody unless the invitation requires it.
fn believed(
    caller: &Caller,
    request: &RedeemRequest,
    violations: &mut Violations,
    prefix: &str,
) -> Option<Believed> {
    let vouched = caller.has(Scope::Vouch);
    let mut said = User {
        user: caller.user.to_string(),
        display_name: caller.display_name.clone().unwrap_or_default(),
        email: caller.email.clone().unwrap_or_default(),
        email_verified: caller.email_verified,
        external_id: caller.external_id.clone().unwrap_or_default(),
    };
    let mut refreshes_roster = true;
    if let Some(told) = &request.user {
        if told.user != said.user {
            said = User {
                user: told.user.clone(),
                ..User::default()
            };
        }
        let acts = caller.has(Scope::ActAs);
        let is_named = !person::display_name(&said.display_name).is_empty();
        // The name of a token is known better than the one that its bearer types.
        if (acts || !is_named) && !person::display_name(&told.display_name).is_empty() {
            said.display_name.clone_from(&told.display_name);
            refreshes_roster = acts && vouched;
        }
        if acts && person::email(&told.email) != Ok(None) {
            said.email.clone_from(&told.email);
            said.email_verified = told.email_verified && vouched;
            refreshes_roster &= vouched;
        }
        if acts && vouched && !told.external_id.is_empty() {
            said.external_id.clone_from(&told.external_id);
        }
    }
    let field = format!("{prefix}user.user");
    let user = violations.take(&field, UserId::parse_person(&said.user))?;
    let reaches = caller.users.reaches(user.as_str());
    violations.check(reaches, &field, OTHERS_USER);
    let email = person::email(&said.email);
    let email_malformed = email.is_err();
    let email = email.ok().flatten();
    let facts = Facts {
        user,
        email_verified: email.is_some() && said.email_verified,
        email,
        email_malformed,
        external_id: person::external_id(&said.external_id)
            .ok()
            .filter(|id| !id.is_empty()),
        vouched,
        sign_up: request.sign_up,
        guess_guarded: false,
        has_use: false,
        known: false,
    };
    let display_name = person::display_name(&said.display_name);
    Some((facts, display_name, refreshes_roster))
}

/// Checks the batch as a whole.
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
        // One id may be written in several ways.
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
