//! One attempt to redeem or preview, read from the request: whose it is and what is believed of it.

use std::net::IpAddr;

use homeroom_api::{
    common::v1::{ErrorReason, User},
    ids::{OrganizationId, UserId},
    invitations::v1::{PreviewRedemptionRequest, RedeemRequest},
    names::OrganizationName,
};
use homeroom_kit::{
    Result,
    auth::{Caller, Scope},
    keys::KeyRing,
    person,
    request_ids::{BodyMac, RequestKey},
    validation::Violations,
};

use crate::{
    domain::{
        self,
        credential::{Credential, MAX_CREDENTIAL_BYTES},
        email::EmailAddress,
        public_url::PublicUrl,
    },
    store::{Person, RedemptionRequest},
};

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
    pub facts: domain::decide::Attempt,
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
        let request_id = (!request.request_id.is_empty())
            .then(|| {
                let parsed =
                    uuid::Uuid::try_parse(&request.request_id).map_err(|_| "is not a UUID");
                violations.take(&field("request_id"), parsed)
            })
            .flatten();
        let input = Input {
            credential: &request.credential,
            organization: &request.organization,
            user: request.user.as_ref(),
            sign_up: request.sign_up,
            client_ip: &request.client_ip,
        };
        let mut attempt = input.read(caller, prefix, public_url, violations)?;
        attempt.request = request_id.map(|id| RedemptionRequest {
            key: RequestKey::new(caller, id),
            body: BodyMac::of(keys, request),
        });
        Ok(attempt)
    }

    /// Reads a preview: the same but for the request id.
    pub fn of_preview(
        caller: &Caller,
        request: &PreviewRedemptionRequest,
        public_url: &PublicUrl,
    ) -> Result<Self> {
        let input = Input {
            credential: &request.credential,
            organization: &request.organization,
            user: request.user.as_ref(),
            sign_up: request.sign_up,
            client_ip: &request.client_ip,
        };
        input.read(caller, "", public_url, Violations::new())
    }
}

/// What Redeem and preview have in common.
struct Input<'request> {
    credential: &'request str,
    organization: &'request str,
    user: Option<&'request User>,
    sign_up: bool,
    client_ip: &'request str,
}

impl Input<'_> {
    fn read(
        &self,
        caller: &Caller,
        prefix: &str,
        public_url: &PublicUrl,
        mut violations: Violations,
    ) -> Result<Attempt> {
        let field = |name: &str| format!("{prefix}{name}");
        let credential = self.credential(&mut violations, &field("credential"), public_url);
        let organization = (!self.organization.is_empty())
            .then(|| {
                let parsed = OrganizationName::parse(self.organization).map(|name| name.0);
                violations.take(&field("organization"), parsed)
            })
            .flatten();
        let client_ip = (!self.client_ip.is_empty())
            .then(|| {
                let parsed = self
                    .client_ip
                    .parse::<IpAddr>()
                    .map_err(|_| "is not an IP address");
                violations.take(&field("client_ip"), parsed)
            })
            .flatten();
        let who = self.who(caller, &mut violations, prefix);
        violations.finish()?;
        let (Some(credential), Some(who)) = (credential, who) else {
            return Err(homeroom_kit::Error::internal(
                "a violation was not recorded",
            ));
        };
        if who.user != caller.user {
            caller.require(Scope::ActAs)?;
        }
        let forwarded = client_ip.filter(|_| caller.has(Scope::ForwardIp));
        // Who acts for others calls from its own address, never from the person's.
        let for_another = caller.acting_for_another || who.user != caller.user;
        let peer = caller.client_address.filter(|_| !for_another);
        Ok(Attempt {
            credential,
            organization,
            person: Person {
                user: who.user.clone(),
                display_name: who.display_name,
                email: who
                    .email
                    .as_ref()
                    .map(ToString::to_string)
                    .unwrap_or_default(),
                // One that cannot be kept still decides, exactly as it is claimed.
                external_id: who
                    .external_id
                    .as_deref()
                    .and_then(|id| person::external_id(id).ok())
                    .unwrap_or_default(),
            },
            facts: domain::decide::Attempt {
                user: who.user,
                email: who.email,
                email_verified: who.email_verified,
                external_id: who.external_id,
                vouched: caller.has(Scope::Vouch),
                sign_up: self.sign_up,
                guess_guarded: false,
            },
            address: forwarded.or(peer),
            request: None,
            calling_service: caller.subject.clone(),
            bound_to: caller.organizations.clone(),
        })
    }

    fn credential(
        &self,
        violations: &mut Violations,
        field: &str,
        public_url: &PublicUrl,
    ) -> Option<Credential> {
        let in_bounds = violations.check(!self.credential.trim().is_empty(), field, "is required")
            && violations.check(
                self.credential.len() <= MAX_CREDENTIAL_BYTES,
                field,
                format!("is longer than {MAX_CREDENTIAL_BYTES} bytes"),
            );
        if !in_bounds {
            return None;
        }
        Credential::parse(self.credential, public_url)
            .map_err(|malformed| {
                violations.add_reason(ErrorReason::CodeMalformed, field, malformed.to_string());
            })
            .ok()
    }

    /// Who gets in. Without `user` it is the acting user, as its claims have it. What a request
    /// says of a person is believed from callers that act for others, and proofs only from those
    /// that vouch (02, Callers).
    fn who(&self, caller: &Caller, violations: &mut Violations, prefix: &str) -> Option<Who> {
        let Some(given) = self.user else {
            return Some(Who::of_claims(caller));
        };
        let field = |name: &str| format!("{prefix}user.{name}");
        let user = violations.take(&field("user"), UserId::parse_person(&given.user));
        let external_id = violations.external_id(&field("external_id"), &given.external_id);
        let email = (!given.email.is_empty())
            .then(|| {
                EmailAddress::parse(&given.email)
                    .map_err(|malformed| {
                        let reason = ErrorReason::EmailMalformed;
                        violations.add_reason(reason, &field("email"), malformed.to_string());
                    })
                    .ok()
            })
            .flatten();
        let user = user?;
        let claims = if user == caller.user {
            Who::of_claims(caller)
        } else {
            Who::nobody(user)
        };
        let vouched = caller.has(Scope::Vouch);
        let mut who = claims;
        let display_name = person::display_name(&given.display_name);
        if !display_name.is_empty() {
            who.display_name = display_name;
        }
        if caller.has(Scope::ActAs) && email.is_some() {
            who.email = email;
            who.email_verified = given.email_verified && vouched;
        }
        if caller.has(Scope::ActAs) && vouched && !external_id.is_empty() {
            who.external_id = Some(external_id);
        }
        Some(who)
    }
}

/// A person, with what is believed of them.
struct Who {
    user: UserId,
    display_name: String,
    email: Option<EmailAddress>,
    email_verified: bool,
    external_id: Option<String>,
}

impl Who {
    fn nobody(user: UserId) -> Self {
        Self {
            user,
            display_name: String::new(),
            email: None,
            email_verified: false,
            external_id: None,
        }
    }

    /// Returns what the issuer says of the person: an address that cannot be read is none.
    fn of_claims(caller: &Caller) -> Self {
        let email = caller
            .email
            .as_deref()
            .and_then(|email| EmailAddress::parse(email).ok());
        let name = caller.display_name.as_deref().unwrap_or_default();
        Self {
            user: caller.user.clone(),
            display_name: person::display_name(name),
            email_verified: email.is_some() && caller.email_verified,
            email,
            external_id: caller.external_id.clone().filter(|id| !id.is_empty()),
        }
    }
}
