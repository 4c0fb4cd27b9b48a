//! Checks an access token and returns its claims.

use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant},
};

use homeroom_api::ids::{OrganizationId, UserId};
use jsonwebtoken::{Algorithm, Validation, dangerous::insecure_decode_claims, errors::ErrorKind};
use serde::Deserialize;

use super::{
    Caller, Claims, Issuer, Scope, Scopes, TokenKeys,
    caller::{malformed_user, scope_missing},
    refusals::{Cause, Refusals, SUBJECT_BYTES_MAX, TOKEN_BYTES_MAX, said},
    user_space::{OTHERS_USER, UserSpace},
    verified::{TrustedKeys, Verified, digest_of},
};
use crate::{
    clock::{SharedClock, micros},
    status::Error,
};

/// The largest accepted difference between the issuer's clock and ours, in seconds.
pub const CLOCK_SKEW_SECONDS_MAX: i64 = 30;
/// The algorithms of the keys.
const ALGORITHMS: [Algorithm; 3] = [Algorithm::EdDSA, Algorithm::ES256, Algorithm::RS256];

/// Checks access tokens of the trusted issuers.
pub struct Verifier {
    trusted: RwLock<Arc<TrustedKeys>>,
    /// One at least. The keys of each are found by the `iss` of a token, so no issuer speaks in the name of another.
    pub(super) issuers: Vec<Arc<Issuer>>,
    pub(super) clock: SharedClock,
    refusals: Refusals,
}

impl fmt::Debug for Verifier {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.issuers.iter().map(|issuer| &issuer.name);
        formatter.debug_list().entries(names).finish()
    }
}

/// The claim of a token by which its keys are chosen, before its signature is checked.
#[derive(Deserialize)]
struct Named {
    iss: String,
}

impl Verifier {
    /// Creates a verifier for tokens signed by one of `keys`, with this `iss` and this audience in their `aud`.
    #[must_use]
    pub fn new(
        keys: impl Into<TokenKeys>,
        issuer: impl Into<String>,
        audience: impl Into<String>,
        clock: SharedClock,
    ) -> Self {
        Self::of_issuers(vec![Issuer::new(keys, issuer, audience)], clock)
    }

    /// Creates a verifier for the tokens of these issuers, one at least.
    #[must_use]
    pub fn of_issuers(mut issuers: Vec<Issuer>, clock: SharedClock) -> Self {
        let namespaces: Vec<_> = issuers.iter().map(|one| one.namespace.clone()).collect();
        for issuer in &mut issuers {
            let own = issuer.namespace.as_ref();
            let others = namespaces.iter().flatten();
            let others = others.filter(|other| Some(*other) != own);
            issuer.users = Arc::new(UserSpace::new(own, others));
        }
        let issuers: Vec<_> = issuers.into_iter().map(Arc::new).collect();
        Self {
            trusted: RwLock::new(Arc::new(TrustedKeys::of(&issuers))),
            issuers,
            clock,
            refusals: Refusals::default(),
        }
    }

    /// Returns the `iss` of the tokens that this installation's services sign: that of the first issuer.
    #[must_use]
    pub fn issuer(&self) -> &str {
        self.issuers.first().map_or("", |first| &first.name)
    }

    /// Returns the `aud` of the tokens that this installation's services sign: the first one of the first issuer.
    #[must_use]
    pub fn audience(&self) -> &str {
        let audiences = self.issuers.first().map(|first| &first.audiences);
        let first = audiences.and_then(|audiences| audiences.first());
        first.map_or("", String::as_str)
    }

    /// Uses the keys that were read last, and forgets the tokens that the earlier keys verified.
    pub(super) fn renew_keys(&self) {
        let mut used = self.trusted.write().unwrap_or_else(PoisonError::into_inner);
        *used = Arc::new(TrustedKeys::of(&self.issuers));
    }

    /// Uses these keys of the first issuer.
    #[cfg(test)]
    pub(super) fn replace_keys(&self, keys: super::Keys) {
        let first = Arc::clone(self.issuers.first().unwrap());
        *self.trusted.write().unwrap() = Arc::new(TrustedKeys::new(first, keys));
    }

    pub(super) fn trusted(&self) -> Arc<TrustedKeys> {
        Arc::clone(&self.trusted.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns the claims of a token, with its scopes limited to those that its key and issuer may give. Fails with
    /// `ACCESS_TOKEN_EXPIRED` or `ACCESS_TOKEN_INVALID`, without details; or with `OVERLOADED` while the token's key is
    /// asked for.
    pub fn verify(&self, token: &str) -> Result<(Claims, Scopes), Error> {
        let verified = self.check(token).map_err(|cause| self.refuse(&cause))?;
        Ok((verified.claims.clone(), verified.scopes))
    }

    /// Returns the caller for whom a token speaks, without the request's own data. `for_user` is the user in
    /// `x-homeroom-user`, which needs the scope `homeroom.act_as`. Fails as [`Self::verify`] does too.
    pub fn caller(&self, token: &str, for_user: Option<&str>) -> Result<Caller, Error> {
        let refuse = |cause| self.refuse(&cause);
        let verified = self.check(token).map_err(refuse)?;
        let Verified {
            issuer,
            subject,
            claims,
            scopes,
        } = &*verified;
        let organizations = organizations_of(claims).map_err(refuse)?;
        let another = for_user.filter(|user| user != subject);
        let user = match another {
            None => UserId::parse_person(subject)
                .map_err(|_| refuse(Cause::NoUser(said(&claims.sub))))?,
            Some(_) if !scopes.contains(Scope::ActAs) => {
                return Err(scope_missing(&[Scope::ActAs]));
            }
            Some(user) if !issuer.users.reaches(user) => {
                return Err(malformed_user(OTHERS_USER));
            }
            Some(user) => {
                UserId::parse_person(user).map_err(|error| malformed_user(error.to_string()))?
            }
        };
        let own = another.is_none();
        Ok(Caller {
            subject: subject.clone(),
            users: Arc::clone(&issuer.users),
            acting_for_another: !own,
            scopes: *scopes,
            organizations,
            email: claims.email.clone().filter(|_| own),
            email_verified: own && claims.email_verified.unwrap_or(false),
            external_id: claims.external_id.clone().filter(|_| own),
            display_name: claims.name.clone().filter(|_| own),
            token_end: self.end_of(claims),
            ..Caller::for_user(user)
        })
    }

    /// Logs why a call's token is refused, and returns what its caller is told.
    pub(crate) fn refuse(&self, cause: &Cause) -> Error {
        self.refusals.log(cause, self.clock.now());
        cause.into()
    }

    fn check(&self, token: &str) -> Result<Arc<Verified>, Cause> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(Cause::TooLong(token.len()));
        }
        let trusted = self.trusted();
        let digest = digest_of(token);
        if let Some(verified) = trusted.recall(&digest) {
            self.judge(&verified.issuer, &verified.claims)?;
            return Ok(verified);
        }
        let header =
            jsonwebtoken::decode_header(token).map_err(|error| Cause::Malformed(said(&error)))?;
        // RFC 7515, 4.1.11: the token names extensions that must be understood, and none is supported.
        if header.crit.is_some() {
            return Err(Cause::Critical);
        }
        let named: Named = insecure_decode_claims(token).map_err(|error| cause_of(&error))?;
        let (issuer, keys) = trusted
            .of_issuer(&named.iss)
            .ok_or_else(|| Cause::Issuer(said(&named.iss)))?;
        let id = header.kid.as_deref();
        if let Some(unknown) = id.filter(|id| !keys.has_id(id)) {
            return Err(self.unknown_key(issuer, unknown, header.alg, token));
        }
        let key = keys.select(id, header.alg).ok_or(match id {
            Some(_) => Cause::Algorithm(header.alg),
            None => Cause::NoKey(header.alg),
        })?;
        let mut validation = Validation::new(key.algorithm);
        // The claims are checked below: `exp` by the injected clock, and all as those of an unknown key.
        validation.validate_exp = false;
        validation.validate_aud = false;
        let decoded = jsonwebtoken::decode::<Claims>(token, &key.key, &validation);
        let claims = decoded.map_err(|error| cause_of(&error))?.claims;
        self.judge(issuer, &claims)?;
        organizations_of(&claims)?;
        let given = match key.subject {
            None => issuer.scopes_of(&claims),
            Some(expected) if expected == claims.sub => Scopes::parse(&claims.scope),
            Some(expected) => {
                let said = said(&claims.sub);
                return Err(Cause::AnotherSubject { said, expected });
            }
        };
        let scopes = key.cap.map_or(given, |cap| given.intersection(cap));
        let verified = Verified {
            issuer: Arc::clone(issuer),
            subject: issuer.users.user_of(&claims.sub),
            claims,
            scopes,
        };
        Ok(trusted.remember(digest, verified))
    }

    /// Returns the cause for a token whose `kid` no key of its issuer has. Its claims are not verified, so nothing depends
    /// on them but the cause, and that a key is asked for only if it could make the token valid.
    fn unknown_key(&self, issuer: &Issuer, id: &str, algorithm: Algorithm, token: &str) -> Cause {
        if !ALGORITHMS.contains(&algorithm) {
            return Cause::Algorithm(algorithm);
        }
        let claims: Claims = match insecure_decode_claims(token) {
            Ok(claims) => claims,
            Err(error) => return cause_of(&error),
        };
        if let Err(cause) = self.judge(issuer, &claims) {
            return cause;
        }
        let made = claims.iat;
        let made = made.map(|made| made.saturating_add(CLOCK_SKEW_SECONDS_MAX));
        if issuer.keys.may_have(made) {
            Cause::KeyNotKnownYet(said(id))
        } else {
            Cause::UnknownKey(said(id))
        }
    }

    /// Refuses the claims of a token of this issuer if they are not for this service, have expired or are not valid yet,
    /// or have no valid subject.
    fn judge(&self, issuer: &Issuer, claims: &Claims) -> Result<(), Cause> {
        if !issuer.is_meant(claims) {
            let client = claims.client_id.as_deref().unwrap_or_default();
            return Err(if claims.aud.is_empty() {
                Cause::NoAudience(said(client))
            } else {
                Cause::Audience(said(&claims.aud.as_slice().join(" ")))
            });
        }
        let now = self.clock.now().timestamp();
        if claims.exp.saturating_add(CLOCK_SKEW_SECONDS_MAX) <= now {
            return Err(Cause::Expired(now.saturating_sub(claims.exp)));
        }
        let ahead = claims.nbf.map_or(0, |begin| begin.saturating_sub(now));
        if ahead > CLOCK_SKEW_SECONDS_MAX {
            return Err(Cause::NotYet(ahead));
        }
        if claims.sub.is_empty() || claims.sub.len() > SUBJECT_BYTES_MAX {
            return Err(Cause::Subject);
        }
        if issuer.users.is_of_another(&claims.sub) {
            return Err(Cause::OthersSpace(said(&claims.sub)));
        }
        Ok(())
    }

    /// Returns when a token that is valid now ends; None if that is beyond the range of the clock.
    fn end_of(&self, claims: &Claims) -> Option<Instant> {
        let end = claims.exp.saturating_add(CLOCK_SKEW_SECONDS_MAX);
        let left = end
            .saturating_mul(1_000_000)
            .saturating_sub(micros(self.clock.now()));
        Instant::now().checked_add(Duration::from_micros(u64::try_from(left).unwrap_or(0)))
    }
}

/// Returns why the library refuses a token.
fn cause_of(error: &jsonwebtoken::errors::Error) -> Cause {
    match error.kind() {
        ErrorKind::InvalidSignature => Cause::Signature,
        _ => Cause::Claims(said(error)),
    }
}

/// Returns the organizations that the token is bound to; None for no bound.
fn organizations_of(claims: &Claims) -> Result<Option<Vec<OrganizationId>>, Cause> {
    let parse = |id: &String| OrganizationId::parse(id).map_err(|_| Cause::Organizations(said(id)));
    let ids = claims.organizations.as_ref();
    ids.map(|ids| ids.iter().map(parse).collect()).transpose()
}
