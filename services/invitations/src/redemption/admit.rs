//! T2: asks membership to admit the people of redemptions.

use std::{
    collections::{HashMap, HashSet},
    time::{Duration, Instant},
};

use homeroom_api::{
    common::v1::{ErrorReason, User},
    membership::v1::{
        AdmitRequest, admit_request, join_request::Cause, member::provenance::Method,
    },
    names::Place,
};
use homeroom_kit::{
    clock::to_timestamp,
    failpoints::{WrongVariant, is_wrong},
};
use uuid::Uuid;

use super::{
    Redemptions,
    ledger::{Redemption, Route, Settlement},
    reply::not_known_yet,
};
use crate::{
    domain::{decide::QueueCause, invitation::InvitationKind},
    membership::{ADMIT_BATCH_MAX, Admission},
};

/// The maximum time for an admission by membership, in seconds (P13).
const ADMIT_DEADLINE_SECONDS: u64 = 2;

impl Redemptions {
    /// Asks membership about each redemption once; with `validate_only`, it asks for the would-be answer, which changes
    /// nothing. Returns the answers by id; one that is missing means unknown, and never refused (P11).
    pub(crate) async fn admit(
        &self,
        redemptions: &[&Redemption],
        validate_only: bool,
    ) -> HashMap<Uuid, Admission> {
        let mut admissions = HashMap::with_capacity(redemptions.len());
        let mut given_up = Vec::new();
        for wave in waves(redemptions) {
            let requests: Vec<AdmitRequest> = wave
                .iter()
                .map(|redemption| admit_request(redemption, validate_only))
                .collect();
            let deadline = Instant::now() + Duration::from_secs(ADMIT_DEADLINE_SECONDS);
            let answers = self.membership.admit(&requests, Some(deadline)).await;
            let mut answers = answers.into_iter();
            for redemption in wave {
                let mut answer = answers.next().unwrap_or_else(|| Err(not_known_yet()));
                // P1: a repetition cannot change this. An erasure overtook the redemption, and the answer is the one
                // stored under the key.
                if let Err(error) = &answer
                    && error.reason() == ErrorReason::InvalidRequest
                {
                    let stored = self
                        .membership
                        .get_admission(&redemption.name(), Some(deadline))
                        .await;
                    answer = stored.and_then(|stored| stored.ok_or_else(|| error.clone()));
                }
                if let Err(error) = &answer
                    && error.reason() != ErrorReason::MembershipUnavailable
                {
                    tracing::error!(%error, redemption = %redemption.id, "membership cannot answer for a redemption");
                }
                // Deliberately wrong, against P1: a redemption that membership did not answer in time is treated as
                // ended.
                if answer.is_err() && !validate_only && is_wrong(WrongVariant::ReleaseOnTimeout) {
                    given_up.push(Settlement::given_up(redemption));
                }
                if let Ok(admission) = answer {
                    admissions.insert(redemption.id, admission);
                }
            }
        }
        // The list is empty, unless a test asked for the wrong variant.
        self.settle_now(&given_up).await;
        admissions
    }
}

/// Splits redemptions into calls in which no person of a class and no redemption occurs twice (P11).
fn waves<'a>(redemptions: &[&'a Redemption]) -> Vec<Vec<&'a Redemption>> {
    let mut asked = HashSet::new();
    let mut left: Vec<&Redemption> = redemptions
        .iter()
        .copied()
        .filter(|redemption| asked.insert(redemption.id))
        .collect();
    let mut waves = Vec::new();
    while !left.is_empty() {
        let mut people: HashSet<(&Place, &str)> = HashSet::new();
        let (wave, rest): (Vec<&Redemption>, Vec<&Redemption>) =
            left.into_iter().partition(|redemption| {
                people.len() < ADMIT_BATCH_MAX
                    && people.insert((&redemption.place, redemption.person.user.as_str()))
            });
        waves.push(wave);
        left = rest;
    }
    waves
}

/// Returns the request to membership for a redemption. It never changes for one id (P1), except for the person's data.
#[must_use]
fn admit_request(redemption: &Redemption, validate_only: bool) -> AdmitRequest {
    let (route, cause, refuse_reason) = match redemption.route {
        Route::AdmitAtOnce => (admit_request::Route::AdmitAtOnce, Cause::Unspecified, None),
        Route::Queue(cause) => (admit_request::Route::Queue, cause_of(cause), None),
        Route::OnlyIfKnown(reason) => (
            admit_request::Route::AdmitAtOnce,
            Cause::Unspecified,
            Some(reason),
        ),
    };
    AdmitRequest {
        redemption: redemption.name().to_string(),
        invitation: redemption.invitation.clone(),
        epoch: redemption.epoch.value(),
        parent: redemption.place.to_string(),
        user: Some(User {
            user: redemption.person.user.to_string(),
            display_name: redemption.person.display_name.clone(),
            email: redemption.person.email.clone(),
            email_verified: false,
            external_id: redemption.person.external_id.clone(),
        }),
        route: route.into(),
        queue_cause: cause.into(),
        refuse_reason: refuse_reason.unwrap_or(ErrorReason::Unspecified).into(),
        method: method_of(redemption.kind).into(),
        invitation_issue_time: Some(to_timestamp(redemption.issue_time)),
        allow_rejoin: redemption.allow_rejoin,
        validate_only,
        vouch_time: redemption.vouch_time.map(to_timestamp),
    }
}

fn cause_of(cause: QueueCause) -> Cause {
    match cause {
        QueueCause::JoinUrl => Cause::JoinUrl,
        QueueCause::CodeLocked => Cause::CodeLocked,
        QueueCause::GuessGuard => Cause::GuessGuard,
    }
}

/// Returns the method of the same name.
fn method_of(kind: InvitationKind) -> Method {
    Method::from_str_name(kind.method()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use homeroom_api::{
        ids::{ClassId, OrganizationId, USER_ID_MAX_CHARS, UserId},
        membership::v1::BatchAdmitRequest,
    };
    use homeroom_kit::{
        person::{EXTERNAL_ID_CHARS_MAX, PERSON_NAME_CHARS_MAX},
        server::MESSAGE_BYTES_MAX,
    };
    use prost::Message as _;

    use super::*;
    use crate::{
        domain::{invitation::Epoch, redemption::RedemptionState},
        redemption::ledger::Person,
    };

    /// Returns the largest redemption that a request can lead to.
    fn largest() -> Redemption {
        let longest = "a".repeat(63);
        let place = Place::new(
            OrganizationId::parse(&longest).unwrap(),
            Some(ClassId::parse(&longest).unwrap()),
        );
        let time = DateTime::from_timestamp(253_402_300_799, 999_999_000).unwrap();
        Redemption {
            id: Uuid::max(),
            invitation_id: Uuid::max(),
            invitation: format!("{place}/enrollmentCodes/{}", Uuid::max()),
            kind: InvitationKind::EnrollmentCode,
            epoch: Epoch::new(i64::MAX),
            place,
            person: Person {
                user: UserId::parse(&"u".repeat(USER_ID_MAX_CHARS)).unwrap(),
                display_name: "\u{20000}".repeat(PERSON_NAME_CHARS_MAX),
                email: "e".repeat(254),
                external_id: "\u{20000}".repeat(EXTERNAL_ID_CHARS_MAX),
            },
            vouch_time: Some(time),
            route: Route::OnlyIfKnown(ErrorReason::UsedUp),
            issue_time: time,
            allow_rejoin: true,
            holds_use: true,
            state: RedemptionState::Reserved,
            outcome: None,
            join_request: String::new(),
            tries: 0,
            next_try_time: time,
            create_time: time,
            settle_time: None,
        }
    }

    #[test]
    fn r6_each_kind_is_a_method_of_its_own() {
        for kind in InvitationKind::ALL {
            assert_eq!(method_of(kind).as_str_name(), kind.method());
        }
    }

    #[test]
    fn p11_a_batch_of_the_largest_redemptions_fits_into_a_message() {
        let requests = vec![admit_request(&largest(), false); ADMIT_BATCH_MAX];
        let bytes = BatchAdmitRequest { requests }.encoded_len();
        assert!(bytes <= MESSAGE_BYTES_MAX, "{bytes}");
    }
}
