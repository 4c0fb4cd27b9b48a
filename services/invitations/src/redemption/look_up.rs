//! Finds the invitation of what was typed (R1, R5), and the organization that a guess names.

use std::collections::{BTreeSet, HashMap};

use homeroom_api::{common::v1::ErrorReason, ids::OrganizationId};
use homeroom_kit::Result;

use super::{Redemptions, ledger::MatchedInvitation, request::Attempt};
use crate::{
    app::secrets::Secrets,
    domain::{
        enrollment_code::CodePrefix,
        invitation::{InvitationKind, Standing},
    },
    limiter,
    store::{InvitationRow, OrganizationProfile},
};

/// What is known of the organizations that attempts name.
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

    /// Returns the matched invitations, or `CODE_NOT_USABLE`: one statement for all candidates of
    /// all attempts, whether they exist or not (R5).
    pub(super) async fn look_up(
        &self,
        attempts: &[&Attempt],
        profiles: &Profiles,
    ) -> Result<Vec<std::result::Result<MatchedInvitation, ErrorReason>>> {
        let candidates: Vec<Vec<Vec<[u8; 32]>>> = attempts
            .iter()
            .map(|attempt| self.candidate_macs(attempt, profiles))
            .collect();
        let mut macs: Vec<[u8; 32]> = candidates.iter().flatten().flatten().copied().collect();
        macs.sort_unstable();
        macs.dedup();
        // T1 looks among many itself.
        let user = match attempts {
            [alone] => Some(&alone.person.user),
            _ => None,
        };
        let mut repository = self.ledger.store.read().await?;
        let rows: HashMap<Vec<u8>, (InvitationRow, bool)> = repository
            .find_living_by_lookup_macs(&macs, user)
            .await?
            .into_iter()
            .filter_map(|found| Some((found.0.secret.as_ref()?.lookup_mac.clone(), found)))
            .collect();
        repository.release();
        Ok(attempts
            .iter()
            .zip(candidates)
            .map(|(attempt, candidates)| {
                candidates
                    .into_iter()
                    .find_map(|lookup_macs| {
                        let (row, has_use) = lookup_macs
                            .iter()
                            .find_map(|mac| rows.get(mac.as_slice()))?;
                        may_match(attempt, row).then(|| MatchedInvitation {
                            row: row.clone(),
                            lookup_macs,
                            has_use: *has_use,
                        })
                    })
                    .ok_or(ErrorReason::CodeNotUsable)
            })
            .collect())
    }

    /// Returns the look-up MACs of each candidate, in the order of precedence (R1).
    fn candidate_macs(&self, attempt: &Attempt, profiles: &Profiles) -> Vec<Vec<[u8; 32]>> {
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
            .map(|candidate| secrets.lookup_macs(candidate.kind, &candidate.canonical))
            .collect()
    }
}

/// Returns true if the invitation is living, of the organization that the request names (P12), and within the
/// caller's reach.
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

/// Returns the organization that the attempt names, in the request or by a prefix, where it is known here.
pub(super) fn named_organization<'profiles>(
    attempt: &Attempt,
    profiles: &'profiles Profiles,
) -> Option<&'profiles OrganizationProfile> {
    match &attempt.organization {
        Some(organization) => profiles
            .iter()
            .find(|profile| profile.organization == *organization),
        None => attempt.credential.possible_prefixes().find_map(|prefix| {
            profiles
                .iter()
                .find(|profile| profile.code_prefix.eq_ignore_ascii_case(prefix.as_str()))
        }),
    }
}

/// Returns the attempt as the limiter counts it.
pub(super) fn limited(attempt: &Attempt, profiles: &Profiles) -> limiter::Attempt {
    let named = named_organization(attempt, profiles);
    let by_prefix = attempt.organization.is_none() && named.is_some();
    limiter::Attempt {
        user: attempt.person.user.clone(),
        address: attempt.address,
        // One that nobody has heard of has no codes, and no budget of its own.
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
