//! Checks an access token and says what it claims.

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
use jsonwebtoken::{Algorithm, Validation, dangerous::insecure_decode_claims};

use super::{
    Audience, Caller, Claims, Keys, Scope, Scopes, TokenKeys,
    caller::{expired, scope_missing, unauthenticated},
    key_sources::Following,
    verified::{TrustedKeys, Verified, digest_of},
};
use crate::{
    clock::{SharedClock, micros},
    status::{Error, Result},
};

/// The metadata that names the acting user.
pub const USER_METADATA: &str = "x-homeroom-user";
/// How far the issuer's clock and ours may be apart, in seconds.
pub const CLOCK_SKEW_SECONDS_MAX: i64 = 30;
/// Bytes of an access token at most.
pub const TOKEN_BYTES_MAX: usize = 8_192;
/// Bytes of `sub` at most.
const SUBJECT_BYTES_MAX: usize = 255;
/// What a key of ours signs with.
const ALGORITHMS: [Algorithm; 3] = [Algorithm::EdDSA, Algorithm::ES256, Algorithm::RS256];

/// Why a token is refused.
#[derive(Debug)]
pub(crate) enum Refused {
    /// Its `kid` is none of ours: the issuer may have rotated its keys. But for its signature nothing
    /// is wrong with it.
    UnknownKey {
        /// How long ago it was made at the least.
        age: Duration,
    },
    /// Anything else.
    For(Error),
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self::For(error)
    }
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::UnknownKey { .. } => unauthenticated(),
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
    /// Tokens must be signed by one of `keys`, with this `iss` and among their `aud` this one.
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
        }
    }

    /// Replaces the keys, when the issuer has rotated them, and forgets the tokens that they have verified.
    pub fn replace_keys(&self, keys: Keys) {
        let mut used = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        *used = Arc::new(TrustedKeys::new(keys));
    }

    pub(super) fn keys(&self) -> Arc<TrustedKeys> {
        Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The claims of a token, with its scopes cut to what its key may give.
    /// `ACCESS_TOKEN_EXPIRED` or `ACCESS_TOKEN_INVALID` otherwise, without a word on what was wrong.
    pub fn verify(&self, token: &str) -> Result<(Claims, Scopes)> {
        let verified = self.check(token)?;
        Ok((verified.claims.clone(), verified.scopes))
    }

    fn check(&self, token: &str) -> std::result::Result<Arc<Verified>, Refused> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(unauthenticated().into());
        }
        let trusted = self.keys();
        let digest = digest_of(token);
        if let Some(verified) = trusted.recall(&digest) {
            self.judge(&verified.claims)?;
            return Ok(verified);
        }
        let header = jsonwebtoken::decode_header(token).map_err(|_| unauthenticated())?;
        // RFC 7515, 4.1.11: extensions that must be understood, and none is understood here.
        if header.crit.is_some() {
            return Err(unauthenticated().into());
        }
        let keys = &trusted.keys;
        if header.kid.as_deref().is_some_and(|id| !keys.has_id(id)) {
            let age = self.refuse_whatever_the_key(token, header.alg)?;
            return Err(Refused::UnknownKey { age });
        }
        let key = keys
            .select(header.kid.as_deref(), header.alg)
            .ok_or_else(unauthenticated)?;

        let mut validation = Validation::new(key.algorithm);
        validation.required_spec_claims =
            HashSet::from(["iss", "aud", "sub", "exp"].map(str::to_owned));
        validation.set_issuer(&[&self.issuer]);
        validation.set_audience(&[&self.audience]);
        // Judged below, by the injected clock.
        validation.validate_exp = false;
        let claims = jsonwebtoken::decode::<Claims>(token, &key.key, &validation)
            .map_err(|refused| {
                tracing::debug!(%refused, "an access token was refused");
                unauthenticated()
            })?
            .claims;

        self.judge(&claims)?;
        if key.subject.is_some_and(|subject| subject != claims.sub) {
            return Err(unauthenticated().into());
        }
        organizations_of(&claims)?;
        let claimed = Scopes::parse(&claims.scope);
        let scopes = key.cap.map_or(claimed, |cap| claimed.intersection(cap));
        Ok(trusted.remember(digest, Verified { claims, scopes }))
    }

    /// Refuses a token that no key could save, and returns how old another is at the least. What it claims is
    /// nobody's word yet: nothing else may come of it.
    fn refuse_whatever_the_key(&self, token: &str, algorithm: Algorithm) -> Result<Duration> {
        let claims: Claims = insecure_decode_claims(token).map_err(|_| unauthenticated())?;
        let for_us = match &claims.aud {
            Audience::One(audience) => *audience == self.audience,
            Audience::Several(audiences) => audiences.contains(&self.audience),
        };
        if !ALGORITHMS.contains(&algorithm) || claims.iss != self.issuer || !for_us {
            return Err(unauthenticated());
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

    /// Refuses a token out of its time, and one of nobody.
    fn judge(&self, claims: &Claims) -> Result<()> {
        let now = self.clock.now().timestamp();
        if claims.exp.saturating_add(CLOCK_SKEW_SECONDS_MAX) <= now {
            return Err(expired());
        }
        let too_early = claims
            .nbf
            .is_some_and(|begin| begin.saturating_sub(CLOCK_SKEW_SECONDS_MAX) > now);
        if too_early || claims.sub.is_empty() || claims.sub.len() > SUBJECT_BYTES_MAX {
            return Err(unauthenticated());
        }
        Ok(())
    }

    /// When a token that is valid now no longer is; None where that lies beyond all reckoning.
    fn end_of(&self, claims: &Claims) -> Option<Instant> {
        let over = claims.exp.saturating_add(CLOCK_SKEW_SECONDS_MAX);
        let left = micros_left(over, micros(self.clock.now()));
        Instant::now().checked_add(Duration::from_micros(left))
    }

    /// The caller that a token speaks for, without what the request says of itself.
    /// `for_user` is the user in `x-homeroom-user`, which needs the scope `homeroom.act_as`.
    pub fn caller(&self, token: &str, for_user: Option<&str>) -> Result<Caller> {
        Ok(self.caller_by_known_keys(token, for_user)?)
    }

    /// As [`Self::caller`], and tells an unknown key from everything else.
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

/// Microseconds from `now` to a time in seconds, none where it has passed.
fn micros_left(seconds: i64, now: i64) -> u64 {
    let left = seconds.saturating_mul(1_000_000).saturating_sub(now);
    u64::try_from(left).unwrap_or(0)
}

/// Returns the organizations that the token is bound to; None for no bound.
fn organizations_of(claims: &Claims) -> Result<Option<Vec<OrganizationId>>> {
    let ids = claims.organizations.as_ref();
    ids.map(|ids| ids.iter().map(|id| OrganizationId::parse(id)).collect())
        .transpose()
        .map_err(|_| unauthenticated())
}

/// Returns the caller that a token speaks for.
fn caller_of(verified: &Verified, for_user: Option<&str>) -> Result<Caller> {
    let Verified { claims, scopes } = verified;
    let organizations = organizations_of(claims)?;
    let another = for_user.filter(|user| *user != claims.sub);
    let user = match another {
        None => UserId::parse_person(&claims.sub).map_err(|_| {
            Error::new(
                ErrorReason::AccessTokenInvalid,
                "Name the acting user in x-homeroom-user: the token's `sub` is not a user id.",
            )
        })?,
        Some(_) if !scopes.contains(Scope::ActAs) => return Err(scope_missing(Scope::ActAs)),
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
