//! Finds the invitation of a typed credential (R1, R5), and the organization that a guess names.

use std::collections::{BTreeSet, HashMap};

use homeroom_api::{
    common::v1::ErrorReason,
    ids::{CodePrefix, OrganizationId},
};
use homeroom_kit::{Result, keys::KeyRing, secret::SecretText};
use serde_json::json;
use zeroize::Zeroizing;

use super::{Redemptions, ledger::MatchedInvitation, request::Attempt};
use crate::{
    app::secrets::Secrets,
    domain::{
        invitation::{InvitationKind, Standing},
        ways::enrollment_code::folded,
    },
    limiter,
    store::{InvitationRow, LookUp, OrganizationProfile},
};

/// The tag of the MAC by which the limiter recognizes a guess.
const GUESS_TAG: &str = "limiter-guess";

/// The profiles of the organizations that attempts name.
pub(super) type Profiles = Vec<OrganizationProfile>;

/// The organizations that attempts name, or may name by a prefix (B4).
#[derive(Debug, Default)]
pub(super) struct NamedOrganizations {
    organizations: BTreeSet<OrganizationId>,
    prefixes: BTreeSet<String>,
}

impl NamedOrganizations {
    pub(super) fn of<'attempts>(attempts: impl IntoIterator<Item = &'attempts Attempt>) -> Self {
        let mut named = Self::default();
        for attempt in attempts {
            if let Some(organization) = &attempt.organization {
                named.organizations.insert(organization.clone());
            } else {
                let prefixes = attempt.credential.possible_prefixes();
                let prefixes = prefixes.map(|prefix| prefix.as_str().to_owned());
                named.prefixes.extend(prefixes);
            }
        }
        named
    }
}

impl Redemptions {
    /// Returns the profiles of these organizations.
    pub(super) async fn profiles_of(&self, named: NamedOrganizations) -> Result<Profiles> {
        let organizations: Vec<OrganizationId> = named.organizations.into_iter().collect();
        let prefixes: Vec<String> = named.prefixes.into_iter().collect();
        if organizations.is_empty() && prefixes.is_empty() {
            return Ok(Vec::new());
        }
        let mut repository = self.ledger.store.read().await?;
        let profiles = repository.find_profiles(&organizations, &prefixes).await?;
        repository.release();
        Ok(profiles)
    }

    /// Returns the matched invitations, or `CODE_NOT_USABLE`. It is one statement for all candidates of all attempts,
    /// whether they exist or not (R5). A text that reads like several codes matches none (B4).
    pub(super) async fn look_up(
        &self,
        attempts: &[&Attempt],
        profiles: &Profiles,
    ) -> Result<Vec<std::result::Result<MatchedInvitation, ErrorReason>>> {
        let candidates: Vec<Vec<LookUp>> = attempts
            .iter()
            .map(|attempt| self.look_ups(attempt, profiles))
            .collect();
        let mut look_ups: Vec<LookUp> = candidates.iter().flatten().cloned().collect();
        look_ups.sort_unstable();
        look_ups.dedup();
        // For several attempts, T1 determines it.
        let user = match attempts {
            [alone] => Some(&alone.person.user),
            _ => None,
        };
        let mut repository = self.ledger.store.read().await?;
        let found = repository.find_living(&look_ups, user).await?;
        repository.release();
        let mut rows: HashMap<&LookUp, Vec<(InvitationRow, bool)>> = HashMap::new();
        for (index, row, has_use) in found {
            if let Some(look_up) = look_ups.get(index) {
                rows.entry(look_up).or_default().push((row, has_use));
            }
        }
        let matching = |attempt: &Attempt, look_up: &LookUp| {
            let mut matching = rows
                .get(look_up)?
                .iter()
                .filter(|(row, _)| may_match(attempt, row));
            let (row, has_use) = matching.next().filter(|_| matching.next().is_none())?;
            Some(MatchedInvitation {
                row: row.clone(),
                lookup_macs: look_up.all(),
                has_use: *has_use,
            })
        };
        let attempts = attempts.iter().zip(&candidates);
        let matched = attempts.map(|(&attempt, candidates)| {
            let mut candidates = candidates.iter();
            let matched = candidates.find_map(|look_up| matching(attempt, look_up));
            matched.ok_or(ErrorReason::CodeNotUsable)
        });
        Ok(matched.collect())
    }

    /// Returns the look-up of each candidate, in the order of precedence (R1).
    fn look_ups(&self, attempt: &Attempt, profiles: &Profiles) -> Vec<LookUp> {
        let prefix = attempt
            .organization
            .as_ref()
            .and_then(|organization| {
                profiles
                    .iter()
                    .find(|profile| profile.organization == *organization)
            })
            .and_then(|profile| CodePrefix::parse(&profile.code_prefix).ok());
        let credential = attempt.credential.clone();
        let credential = match prefix {
            Some(prefix) => credential.of_organization(&prefix),
            None => credential,
        };
        let secrets = Secrets::new(&self.keys, self.ledger.random.as_ref());
        credential
            .candidates()
            .iter()
            .map(|candidate| secrets.look_up(candidate.kind, &candidate.canonical))
            .collect()
    }
}

/// Returns true if the invitation is in use, belongs to the organization that the request names (P12), and is within
/// the caller's reach.
fn may_match(attempt: &Attempt, row: &InvitationRow) -> bool {
    let organization = row.invitation.place.organization();
    row.invitation.standing == Standing::On
        && attempt
            .organization
            .as_ref()
            .is_none_or(|named| named == organization)
        && attempt
            .bound_to
            .as_ref()
            .is_none_or(|bound| bound.contains(organization))
}

/// Returns the organizations whose codes begin with this prefix: the one that has exactly this prefix, otherwise those
/// whose prefix reads like it (B4).
pub(super) fn with_prefix<'profiles>(
    profiles: &'profiles Profiles,
    prefix: &CodePrefix,
) -> Vec<&'profiles OrganizationProfile> {
    let reads = folded(prefix.as_str());
    let alike = profiles
        .iter()
        .filter(|profile| folded(&profile.code_prefix) == reads);
    let alike: Vec<_> = alike.collect();
    let mut exact = alike.iter().copied();
    match exact.find(|profile| profile.code_prefix == prefix.as_str()) {
        Some(exact) => vec![exact],
        None => alike,
    }
}

/// Returns the organization that the attempt names, in the request or by a prefix, if it is known here.
pub(super) fn named_organization<'profiles>(
    attempt: &Attempt,
    profiles: &'profiles Profiles,
) -> Option<&'profiles OrganizationProfile> {
    match &attempt.organization {
        Some(organization) => profiles
            .iter()
            .find(|profile| profile.organization == *organization),
        None => attempt
            .credential
            .possible_prefixes()
            .find_map(|prefix| with_prefix(profiles, &prefix).first().copied()),
    }
}

/// Returns the attempt in the form that the limiter counts.
pub(super) fn limited(attempt: &Attempt, profiles: &Profiles, keys: &KeyRing) -> limiter::Attempt {
    let named = named_organization(attempt, profiles);
    let by_prefix = attempt.organization.is_none() && named.is_some();
    limiter::Attempt {
        user: attempt.person.user.clone(),
        guess: guess(attempt, keys),
        address: attempt.address,
        // An unknown organization has no codes, and no budget of its own.
        organization: named.map(|profile| profile.organization.clone()),
        may_name_none: by_prefix
            && attempt
                .credential
                .candidates()
                .iter()
                .any(|candidate| candidate.kind != InvitationKind::EnrollmentCode),
        organization_seats: named
            .and_then(|profile| u32::try_from(profile.seat_limit).ok())
            .filter(|seats| *seats > 0),
        calling_service: attempt.calling_service.clone(),
        vouched: attempt.facts.vouched,
    }
}

/// Returns the hash by which the attempt is recognized: a keyed hash of the typed text in folded form (B4), and of all
/// facts on which a refusal could depend. It reveals none of them, and differs for each user.
fn guess(attempt: &Attempt, keys: &KeyRing) -> limiter::GuessHash {
    let candidates = attempt.credential.candidates().iter().map(|candidate| {
        let canonical = candidate.canonical.expose();
        match candidate.kind {
            InvitationKind::EnrollmentCode => (candidate.kind.tag(), folded(canonical)),
            kind => (kind.tag(), SecretText::new(canonical)),
        }
    });
    let candidates: Vec<_> = candidates
        .map(|(tag, form)| json!([tag, form.expose()]))
        .collect();
    let facts = &attempt.facts;
    let bound_to = attempt.bound_to.as_ref();
    let text = json!([
        facts.user.as_str(),
        candidates,
        attempt.organization.as_ref().map(OrganizationId::as_str),
        bound_to.map(|bound| bound.iter().map(OrganizationId::as_str).collect::<Vec<_>>()),
        facts.email.as_ref().map(ToString::to_string),
        facts.email_verified,
        facts.external_id,
        facts.vouched,
        facts.sign_up,
    ]);
    let text = Zeroizing::new(text.to_string());
    limiter::GuessHash::of(keys.mac(keys.current(), GUESS_TAG, text.as_bytes()))
}
