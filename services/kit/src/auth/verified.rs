//! Access tokens that were verified before, so that the next call with one costs a hash instead of a signature check.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use aws_lc_rs::digest::{SHA256, SHA256_OUTPUT_LEN, digest};

use super::{Claims, Issuer, Keys, Scopes};

/// Maximum number of bytes that verified tokens take. When it is reached all are forgotten, and verified anew.
const VERIFIED_TOKENS_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Number of bytes that a token takes besides its claims, for its table entry and its counters.
const ENTRY_BYTES: usize = 128;

/// A token whose signature, issuer and audience have been checked. Its times are not part of this, because they are
/// checked at each call.
#[derive(Debug)]
pub(super) struct Verified {
    pub(super) issuer: Arc<Issuer>,
    /// The user id of its `sub`.
    pub(super) subject: String,
    pub(super) claims: Claims,
    /// The claimed scopes, limited to those that the token's key and issuer may give.
    pub(super) scopes: Scopes,
}

impl Verified {
    fn bytes(&self) -> usize {
        let claims = &self.claims;
        let names = [&claims.scope, &claims.scp, &claims.roles];
        let texts = [&self.subject, &claims.iss, &claims.sub].into_iter();
        let texts = texts
            .chain(names)
            .chain(claims.aud.as_slice())
            .chain(claims.organizations.iter().flatten())
            .chain(
                [
                    &claims.email,
                    &claims.external_id,
                    &claims.name,
                    &claims.client_id,
                    &claims.token_use,
                ]
                .into_iter()
                .flatten(),
            );
        let bytes_of = |text: &String| size_of::<String>() + text.capacity();
        ENTRY_BYTES + size_of::<Self>() + texts.map(bytes_of).sum::<usize>()
    }
}

/// The SHA-256 of a whole token.
pub(super) type TokenDigest = [u8; SHA256_OUTPUT_LEN];

/// Returns the digest under which a token is stored.
pub(super) fn digest_of(token: &str) -> TokenDigest {
    let mut whole = TokenDigest::default();
    whole.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
    whole
}

/// The keys of each issuer in use, and the tokens that they have verified. Both are replaced together, so that no token
/// outlives its key, and a token that is being verified with earlier keys is not stored among these.
#[derive(Debug, Default)]
pub(super) struct TrustedKeys {
    keys: Vec<(Arc<Issuer>, Keys)>,
    verified: Mutex<Remembered>,
}

#[derive(Debug, Default)]
struct Remembered {
    tokens: HashMap<TokenDigest, Arc<Verified>>,
    bytes: usize,
}

impl TrustedKeys {
    /// Takes the keys of these issuers into use.
    pub(super) fn of(issuers: &[Arc<Issuer>]) -> Self {
        let issuers = issuers.iter();
        Self {
            keys: issuers
                .map(|one| (Arc::clone(one), one.keys.keys()))
                .collect(),
            verified: Mutex::default(),
        }
    }

    /// Returns the issuer of this name with its keys.
    pub(super) fn of_issuer(&self, name: &str) -> Option<&(Arc<Issuer>, Keys)> {
        self.keys.iter().find(|(issuer, _)| issuer.name == name)
    }

    fn lock(&self) -> MutexGuard<'_, Remembered> {
        self.verified.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the content of a token that these keys have verified.
    pub(super) fn recall(&self, token: &TokenDigest) -> Option<Arc<Verified>> {
        self.lock().tokens.get(token).cloned()
    }

    /// Stores a token that these keys have verified.
    pub(super) fn remember(&self, token: TokenDigest, verified: Verified) -> Arc<Verified> {
        let bytes = verified.bytes();
        let verified = Arc::new(verified);
        let mut remembered = self.lock();
        if remembered.bytes + bytes > VERIFIED_TOKENS_BYTES_MAX {
            *remembered = Remembered::default();
        }
        // Two calls may have verified one token at the same time.
        let earlier = remembered.tokens.insert(token, Arc::clone(&verified));
        if earlier.is_none() {
            remembered.bytes += bytes;
        }
        verified
    }

    #[cfg(test)]
    pub(super) fn new(issuer: Arc<Issuer>, keys: Keys) -> Self {
        Self {
            keys: vec![(issuer, keys)],
            verified: Mutex::default(),
        }
    }

    #[cfg(test)]
    pub(super) fn remembered(&self) -> usize {
        self.lock().tokens.len()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use chrono::TimeDelta;
    use homeroom_api::common::v1::ErrorReason;

    use super::*;
    use crate::{
        auth::{
            Scope, TOKEN_BYTES_MAX, Verifier,
            tests::{AUDIENCE, ISSUER, claims, noon, reason, signer},
        },
        clock::ManualClock,
    };

    struct World {
        clock: Arc<ManualClock>,
        verifier: Verifier,
    }

    impl World {
        fn new() -> Self {
            let clock = Arc::new(ManualClock::new(noon()));
            let keys = signer(1).keys(None).unwrap();
            Self {
                verifier: Verifier::new(keys, ISSUER, AUDIENCE, clock.clone()),
                clock,
            }
        }

        fn remembered(&self) -> usize {
            self.verifier.trusted().remembered()
        }
    }

    fn verified(claims: Claims) -> Verified {
        Verified {
            issuer: Arc::new(Issuer::new(Keys::default(), ISSUER, AUDIENCE)),
            subject: claims.sub.clone(),
            claims,
            scopes: Scopes::NONE,
        }
    }

    fn sign(seed: u64, claims: &Claims) -> String {
        signer(seed).sign(claims).unwrap().expose().to_owned()
    }

    #[test]
    fn a_token_that_was_accepted_is_remembered_and_no_other() {
        let world = World::new();
        let good = sign(1, &claims());
        let mut late = claims();
        late.exp = noon().timestamp() - 3_600;
        let mut elsewhere = claims();
        elsewhere.organizations = Some(vec!["not an id".to_owned()]);
        let mut altered = good.clone();
        altered.pop();
        for refused in [
            sign(1, &late),
            sign(1, &elsewhere),
            sign(2, &claims()),
            altered,
        ] {
            assert!(world.verifier.caller(&refused, None).is_err());
        }
        for _ in 0..2 {
            assert!(world.verifier.verify(&good).is_ok());
            assert_eq!(world.remembered(), 1);
        }
    }

    #[test]
    fn a_remembered_token_has_its_times_judged_at_each_use() {
        let world = World::new();
        let mut claims = claims();
        claims.nbf = Some(noon().timestamp());
        let token = sign(1, &claims);
        for (hours, expected) in [
            (0, ErrorReason::Unspecified),
            (1, ErrorReason::AccessTokenExpired),
            (-1, ErrorReason::AccessTokenInvalid),
            (0, ErrorReason::Unspecified),
        ] {
            world.clock.set(noon() + TimeDelta::hours(hours));
            assert_eq!(reason(world.verifier.verify(&token)), expected);
        }
    }

    #[test]
    fn tokens_are_forgotten_with_their_keys() {
        let world = World::new();
        let (before, after) = (sign(1, &claims()), sign(2, &claims()));
        assert!(world.verifier.verify(&before).is_ok());
        let old_keys = world.verifier.trusted();
        world.verifier.replace_keys(signer(2).keys(None).unwrap());
        assert_eq!(world.remembered(), 0);
        assert!(world.verifier.verify(&before).is_err());
        assert!(world.verifier.verify(&after).is_ok());
        // A call that has verified a token with the earlier keys stores it.
        old_keys.remember(digest_of(&before), verified(claims()));
        assert!(world.verifier.verify(&before).is_err());
    }

    #[test]
    fn a_remembered_token_gets_what_its_key_may_give_and_acts_for_whom_each_call_names() {
        let world = World::new();
        let act_as: Scopes = [Scope::ActAs].into_iter().collect();
        let token = sign(1, &claims().with_scopes(act_as.with(Scope::Vouch)));
        let of = |named| world.verifier.caller(&token, named).unwrap();
        assert!(of(None).has(Scope::Vouch));
        let less = signer(1).keys(Some(act_as)).unwrap();
        world.verifier.replace_keys(less);
        for (named, acting) in [(Some("bob"), "bob"), (None, "ada"), (Some("eve"), "eve")] {
            let caller = of(named);
            assert_eq!((caller.user.as_str(), caller.scopes), (acting, act_as));
        }
    }

    #[test]
    fn remembered_tokens_take_no_more_bytes_than_they_may() {
        let trusted = TrustedKeys::default();
        let mut most = 0;
        for number in 0..2_000 {
            let mut claims = claims();
            claims.name = Some("x".repeat(TOKEN_BYTES_MAX));
            trusted.remember(digest_of(&number.to_string()), verified(claims));
            let bytes: usize = trusted.lock().tokens.values().map(|one| one.bytes()).sum();
            assert_eq!(trusted.lock().bytes, bytes);
            most = most.max(bytes);
        }
        assert!(most <= VERIFIED_TOKENS_BYTES_MAX);
        assert!(most > VERIFIED_TOKENS_BYTES_MAX - 2 * TOKEN_BYTES_MAX);
        assert!(trusted.remembered() > 0);
    }
}
