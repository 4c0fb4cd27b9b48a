//! Checks an access token and returns its claims.

use std::{
    collections::HashSet,
    fmt,
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant},
};

use homeroom_api::{
    common::v1::ErrorReason,
    ids::{OrganizationId, UserId},
};
use jsonwebtoken::{Algorithm, Validation, dangerous::insecure_decode_claims, errors::ErrorKind};

use super::{
    Audience, Caller, Claims, Keys, Scope, Scopes, TokenKeys,
    caller::scope_missing,
    key_sources::Following,
    refusals::{Cause, Refusals, SUBJECT_BYTES_MAX, TOKEN_BYTES_MAX, said},
    verified::{TrustedKeys, Verified, digest_of},
};
use crate::{
    clock::{SharedClock, micros},
    status::{Error, Result},
};

/// The metadata that names the acting user.
pub const USER_METADATA: &str = "x-homeroom-user";
/// The largest accepted difference between the issuer's clock and ours, in seconds.
pub const CLOCK_SKEW_SECONDS_MAX: i64 = 30;
/// The algorithms of the keys.
const ALGORITHMS: [Algorithm; 3] = [Algorithm::EdDSA, Algorithm::ES256, Algorithm::RS256];

/// The reason why a call is refused.
#[derive(Debug)]
pub(crate) enum Refused {
    /// Its token names an unknown `kid`, perhaps because the issuer has rotated its keys. Apart from the signature,
    /// nothing is wrong with the token.
    UnknownKey {
        /// The least age of the token.
        age: Duration,
        /// The cause for the log.
        cause: Cause,
    },
    /// Its token is not valid.
    Token(Cause),
    /// Any other error.
    For(Error),
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self::For(error)
    }
}

impl From<Cause> for Refused {
    fn from(cause: Cause) -> Self {
        Self::Token(cause)
    }
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::UnknownKey { cause, .. } | Refused::Token(cause) => cause.into(),
            Refused::For(error) => error,
        }
    }
}

/// Checks access tokens of one issuer for one audience.
pub struct Verifier {
    keys: RwLock<Arc<TrustedKeys>>,
    pub(super) following: Following,
    issuer: String,
    audience: String,
    pub(super) clock: SharedClock,
    refusals: Refusals,
}

impl fmt::Debug for Verifier {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Verifier")
            .field("issuer", &self.issuer)
            .field("audience", &self.audience)
            .finish_non_exhaustive()
    }
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
        let following = Following::new(keys.into());
        Self {
            keys: RwLock::new(Arc::new(TrustedKeys::new(following.keys()))),
            following,
            issuer: issuer.into(),
            audience: audience.into(),
            clock,
            refusals: Refusals::default(),
        }
    }

    /// Replaces the keys when the issuer has rotated them, and forgets the tokens that the earlier keys verified.
    pub fn replace_keys(&self, keys: Keys) {
        let mut used = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        *used = Arc::new(TrustedKeys::new(keys));
    }

    pub(super) fn keys(&self) -> Arc<TrustedKeys> {
        Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns the claims of a token, with its scopes limited to those that its key may give. Fails with
    /// `ACCESS_TOKEN_EXPIRED` or `ACCESS_TOKEN_INVALID`, without details.
    pub fn verify(&self, token: &str) -> Result<(Claims, Scopes)> {
        let verified = self.check(token)?;
        Ok((verified.claims.clone(), verified.scopes))
    }

    /// Logs why a call's token was refused.
    pub(crate) fn log(&self, refused: &Refused) {
        if let Refused::UnknownKey { cause, .. } | Refused::Token(cause) = refused {
            self.refusals.log(cause, self.clock.now());
        }
    }

    fn check(&self, token: &str) -> std::result::Result<Arc<Verified>, Refused> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(Cause::TooLong(token.len()).into());
        }
        let trusted = self.keys();
        let digest = digest_of(token);
        if let Some(verified) = trusted.recall(&digest) {
            self.judge(&verified.claims)?;
            return Ok(verified);
        }
        let header = jsonwebtoken::decode_header(token)
            .map_err(|error| Cause::Malformed(said(&error.to_string())))?;
        // RFC 7515, 4.1.11: the token names extensions that must be understood, and none is supported.
        if header.crit.is_some() {
            return Err(Cause::Critical.into());
        }
        let keys = &trusted.keys;
        let id = header.kid.as_deref();
        if let Some(unknown) = id.filter(|id| !keys.has_id(id)) {
            let age = self.refuse_whatever_the_key(token, header.alg)?;
            let cause = Cause::UnknownKey(said(unknown));
            return Err(Refused::UnknownKey { age, cause });
        }
        let key = keys.select(id, header.alg).ok_or(match id {
            Some(_) => Cause::Algorithm(header.alg),
            None => Cause::NoKey(header.alg),
        })?;

        let mut validation = Validation::new(key.algorithm);
        validation.required_spec_claims =
            HashSet::from(["iss", "aud", "sub", "exp"].map(str::to_owned));
        validation.set_issuer(&[&self.issuer]);
        validation.set_audience(&[&self.audience]);
        // Checked below, by the injected clock.
        validation.validate_exp = false;
        let claims = jsonwebtoken::decode::<Claims>(token, &key.key, &validation)
            .map_err(|error| self.cause_of(&error, token))?
            .claims;

        self.judge(&claims)?;
        if let Some(expected) = key.subject.filter(|subject| *subject != claims.sub) {
            let said = said(&claims.sub);
            return Err(Cause::AnotherSubject { said, expected }.into());
        }
        organizations_of(&claims)?;
        let claimed = Scopes::parse(&claims.scope);
        let scopes = key.cap.map_or(claimed, |cap| claimed.intersection(cap));
        Ok(trusted.remember(digest, Verified { claims, scopes }))
    }

    /// Returns what is wrong with a token that its key does not verify, or whose claims are not for this verifier.
    fn cause_of(&self, error: &jsonwebtoken::errors::Error, token: &str) -> Cause {
        let unusable = || Cause::Claims(said(&error.to_string()));
        match error.kind() {
            ErrorKind::InvalidSignature => Cause::Signature,
            ErrorKind::InvalidIssuer | ErrorKind::InvalidAudience => insecure_decode_claims(token)
                .map_or_else(
                    |_| unusable(),
                    |claims| self.meant_for_another(&claims).unwrap_or_else(unusable),
                ),
            _ => unusable(),
        }
    }

    /// Returns the cause if a token has another issuer or audience.
    fn meant_for_another(&self, claims: &Claims) -> Option<Cause> {
        if claims.iss != self.issuer {
            return Some(Cause::Issuer(said(&claims.iss)));
        }
        let audiences = match &claims.aud {
            Audience::One(audience) => std::slice::from_ref(audience),
            Audience::Several(audiences) => audiences,
        };
        let is_for_us = audiences.contains(&self.audience);
        (!is_for_us).then(|| Cause::Audience(said(&audiences.join(" "))))
    }

    /// Refuses a token that no key could make valid, and returns the least age of any other. Its claims are not
    /// verified, so nothing else may depend on them.
    fn refuse_whatever_the_key(
        &self,
        token: &str,
        algorithm: Algorithm,
    ) -> std::result::Result<Duration, Cause> {
        if !ALGORITHMS.contains(&algorithm) {
            return Err(Cause::Algorithm(algorithm));
        }
        let claims: Claims = insecure_decode_claims(token)
            .map_err(|error| Cause::Claims(said(&error.to_string())))?;
        if let Some(cause) = self.meant_for_another(&claims) {
            return Err(cause);
        }
        self.judge(&claims)?;
        let now = self.clock.now().timestamp();
        let latest = claims
            .iat
            .unwrap_or(now)
            .saturating_add(CLOCK_SKEW_SECONDS_MAX);
        let age = u64::try_from(now.saturating_sub(latest)).unwrap_or(0);
        Ok(Duration::from_secs(age))
    }

    /// Refuses a token that is expired or not yet valid, and one without a valid subject.
    fn judge(&self, claims: &Claims) -> std::result::Result<(), Cause> {
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
        Ok(())
    }

    /// Returns when a token that is valid now ends; None if that is beyond the range of the clock.
    fn end_of(&self, claims: &Claims) -> Option<Instant> {
        let over = claims.exp.saturating_add(CLOCK_SKEW_SECONDS_MAX);
        let left = micros_left(over, micros(self.clock.now()));
        Instant::now().checked_add(Duration::from_micros(left))
    }

    /// Returns the caller for whom a token speaks, without the request's own data. `for_user` is the user in
    /// `x-homeroom-user`, which needs the scope `homeroom.act_as`.
    pub fn caller(&self, token: &str, for_user: Option<&str>) -> Result<Caller> {
        Ok(self.caller_by_known_keys(token, for_user)?)
    }

    /// Does the same as [`Self::caller`], with a separate error for an unknown key.
    pub(crate) fn caller_by_known_keys(
        &self,
        token: &str,
        for_user: Option<&str>,
    ) -> std::result::Result<Caller, Refused> {
        let verified = self.check(token)?;
        let token_end = self.end_of(&verified.claims);
        let caller = caller_of(&verified, for_user)?;
        Ok(Caller {
            token_end,
            ..caller
        })
    }
}

/// Returns the microseconds from `now` to a time in seconds, or 0 if it has passed.
fn micros_left(seconds: i64, now: i64) -> u64 {
    let left = seconds.saturating_mul(1_000_000).saturating_sub(now);
    u64::try_from(left).unwrap_or(0)
}

/// Returns the organizations that the token is bound to; None for no bound.
fn organizations_of(claims: &Claims) -> std::result::Result<Option<Vec<OrganizationId>>, Cause> {
    let parse = |id: &String| OrganizationId::parse(id).map_err(|_| Cause::Organizations(said(id)));
    let ids = claims.organizations.as_ref();
    ids.map(|ids| ids.iter().map(parse).collect()).transpose()
}

/// Returns the caller for whom a token speaks.
fn caller_of(verified: &Verified, for_user: Option<&str>) -> std::result::Result<Caller, Refused> {
    let Verified { claims, scopes } = verified;
    let organizations = organizations_of(claims)?;
    let another = for_user.filter(|user| *user != claims.sub);
    let user = match another {
        None => {
            let own = UserId::parse_person(&claims.sub);
            own.map_err(|_| Cause::NoUser(said(&claims.sub)))?
        }
        Some(_) if !scopes.contains(Scope::ActAs) => {
            return Err(scope_missing(Scope::ActAs).into());
        }
        Some(user) => UserId::parse_person(user).map_err(|error| {
            Error::new(
                ErrorReason::InvalidRequest,
                "Correct the metadata x-homeroom-user.",
            )
            .violation(USER_METADATA, error.to_string())
        })?,
    };
    let own = another.is_none();
    Ok(Caller {
        subject: claims.sub.clone(),
        acting_for_another: !own,
        scopes: *scopes,
        organizations,
        email: claims.email.clone().filter(|_| own),
        email_verified: own && claims.email_verified.unwrap_or(false),
        external_id: claims.external_id.clone().filter(|_| own),
        display_name: claims.name.clone().filter(|_| own),
        ..Caller::for_user(user)
    })
}
