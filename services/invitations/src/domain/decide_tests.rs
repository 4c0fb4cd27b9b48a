use chrono::TimeDelta;
use homeroom_api::ids::{ClassId, OrganizationId};
use homeroom_api::names::{ClassName, Place};
use uuid::Uuid;

use super::*;
use crate::domain::domain_rule::DomainRule;
use crate::domain::invitation::{Epoch, InvitationKind, InvitationState, Uses};
use crate::domain::lock::{Lock, LockPeriod};

use ErrorReason::{
    CodeNotUsable, EmailDomainNotAllowed, EmailMalformed, EmailUnverified, NoLongerValid,
    NotYetValid, SignUpNotGranted, TokenAssignedToAnother, UseInProgress, UsedUp,
};

#[path = "decide_properties.rs"]
mod properties;

const MICROSECOND: TimeDelta = TimeDelta::microseconds(1);

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap()
}

fn email(text: &str) -> EmailAddress {
    EmailAddress::parse(text).unwrap()
}

fn invitation(kind: InvitationKind) -> Invitation {
    let organization = OrganizationId::parse("hamilton").unwrap();
    Invitation {
        id: Uuid::from_u128(1),
        kind,
        place: Place::Class(ClassName {
            organization,
            class: ClassId::parse("biology").unwrap(),
        }),
        epoch: Epoch::FIRST,
        standing: Standing::On,
        valid_from: None,
        valid_till: None,
        max_uses: None,
        uses: Uses::default(),
        assigned_email: None,
        external_id: None,
        email_domains: Vec::new(),
        lock: (kind == InvitationKind::ClassCode).then(|| Lock::open(now(), LockPeriod::DEFAULT)),
        issue_time: now(),
        allow_rejoin: false,
    }
}

fn attempt() -> Facts {
    Facts {
        user: UserId::parse("mia").unwrap(),
        email: Some(email("mia@hamiltonschools.org")),
        email_malformed: false,
        email_verified: true,
        external_id: Some("S-17".to_owned()),
        vouched: false,
        sign_up: false,
        guess_guarded: false,
        has_use: false,
        known: false,
    }
}

#[test]
fn a1_b3_c2_c9_each_way_in_admits_or_queues() {
    for kind in InvitationKind::ALL {
        let expected = match kind {
            InvitationKind::JoinUrl => Decision::Queue(QueueCause::JoinUrl),
            _ => Decision::Admit,
        };
        assert_eq!(
            decide(&invitation(kind), &attempt(), now()),
            expected,
            "{kind:?}"
        );
        assert!(expected.holds_use() && expected.refusal().is_none());
    }
}

#[test]
fn c4_c5_a_locked_code_queues_from_the_moment_it_locks() {
    let code = invitation(InvitationKind::ClassCode);
    let lock_time = code.lock.unwrap().lock_time().unwrap();
    assert_eq!(
        decide(&code, &attempt(), lock_time - MICROSECOND),
        Decision::Admit
    );
    let queue = Decision::Queue(QueueCause::CodeLocked);
    assert_eq!(decide(&code, &attempt(), lock_time), queue);
    let locked = Invitation {
        lock: code.lock.map(|lock| lock.locked(now())),
        ..code
    };
    assert_eq!(decide(&locked, &attempt(), now()), queue);
}

#[test]
fn r5_what_is_off_or_revoked_answers_as_the_unknown_does() {
    for kind in InvitationKind::ALL {
        for standing in [Standing::Off, Standing::Revoked] {
            let gone = Invitation {
                standing,
                ..spent(invitation(kind))
            };
            assert_eq!(
                decide(&gone, &attempt(), now()),
                Decision::Refuse(CodeNotUsable)
            );
        }
    }
}

#[test]
fn b5_valid_from_is_inclusive_and_valid_till_exclusive() {
    let code = Invitation {
        valid_from: Some(now()),
        valid_till: Some(now() + TimeDelta::days(1)),
        ..invitation(InvitationKind::EnrollmentCode)
    };
    let end = now() + TimeDelta::days(1);
    for (at, expected) in [
        (now() - MICROSECOND, Decision::Refuse(NotYetValid)),
        (now(), Decision::Admit),
        (end - MICROSECOND, Decision::Admit),
        (end, Decision::OnlyIfKnown(NoLongerValid)),
    ] {
        assert_eq!(decide(&code, &attempt(), at), expected, "{at}");
    }
}

#[test]
fn b9_a_switch_turned_on_does_not_override_the_dates() {
    let code = Invitation {
        valid_till: Some(now()),
        ..invitation(InvitationKind::EnrollmentCode)
    };
    assert_eq!(
        decide(&code, &attempt(), now()).refusal(),
        Some(NoLongerValid)
    );
}

#[test]
fn p3_p4_uses_run_out_for_good_or_for_the_moment() {
    for (used, reserved, queued, expected) in [
        (0, 0, 0, Decision::Admit),
        (1, 0, 0, Decision::Admit),
        (1, 1, 0, Decision::Refuse(UseInProgress)),
        (0, 2, 0, Decision::Refuse(UseInProgress)),
        (1, 0, 1, Decision::OnlyIfKnown(UsedUp)),
        (2, 0, 0, Decision::OnlyIfKnown(UsedUp)),
        (2, 1, 0, Decision::OnlyIfKnown(UsedUp)),
    ] {
        let token = Invitation {
            max_uses: Some(2),
            uses: Uses {
                used,
                reserved,
                queued,
            },
            ..invitation(InvitationKind::ClassToken)
        };
        assert_eq!(
            decide(&token, &attempt(), now()),
            expected,
            "{used} {reserved} {queued}"
        );
    }
    let unlimited = Invitation {
        max_uses: None,
        uses: Uses {
            used: u32::MAX,
            reserved: 9,
            queued: 9,
        },
        ..invitation(InvitationKind::ClassToken)
    };
    assert_eq!(decide(&unlimited, &attempt(), now()), Decision::Admit);
}

#[test]
fn p4_u8_no_use_is_short_for_whom_it_belongs_to_and_nothing_else_is_changed_by_it() {
    let coming_back = Facts {
        has_use: true,
        ..attempt()
    };
    let token = |used, reserved| Invitation {
        max_uses: Some(2),
        uses: Uses {
            used,
            reserved,
            queued: 0,
        },
        ..invitation(InvitationKind::ClassToken)
    };
    for token in [token(2, 0), token(1, 1), token(9, 9)] {
        assert_eq!(decide(&token, &coming_back, now()), Decision::Admit);
    }
    let expired = Invitation {
        valid_till: Some(now()),
        ..token(2, 0)
    };
    assert_eq!(
        decide(&expired, &coming_back, now()),
        Decision::OnlyIfKnown(NoLongerValid)
    );
}

#[test]
fn p3_only_what_is_otherwise_right_is_asked_whether_it_is_known() {
    let token = spent(invitation(InvitationKind::ClassToken));
    assert_eq!(
        decide(&token, &attempt(), now()),
        Decision::OnlyIfKnown(NoLongerValid)
    );
    let assigned = Invitation {
        assigned_email: Some(email("tom@hamiltonschools.org")),
        ..token
    };
    assert_eq!(
        decide(&assigned, &attempt(), now()),
        Decision::Refuse(TokenAssignedToAnother)
    );
}

#[test]
fn u5_an_address_that_cannot_be_read_is_told_where_an_address_counts_and_stops_nobody_elsewhere() {
    let malformed = Facts {
        email: None,
        email_malformed: true,
        email_verified: false,
        ..attempt()
    };
    for kind in InvitationKind::ALL {
        let open = invitation(kind);
        assert_eq!(
            decide(&open, &malformed, now()),
            decide(&open, &attempt(), now()),
            "{kind:?}"
        );
        let for_domain = Invitation {
            email_domains: vec![DomainRule::parse("hamiltonschools.org").unwrap()],
            ..invitation(kind)
        };
        let for_one = Invitation {
            assigned_email: Some(email("mia@hamiltonschools.org")),
            ..invitation(kind)
        };
        for asking in [for_domain, for_one] {
            let refused = Decision::Refuse(EmailMalformed);
            assert_eq!(decide(&asking, &malformed, now()), refused, "{kind:?}");
        }
    }
}

#[test]
fn b6_domains_ask_for_a_verified_address_inside_them() {
    let code = Invitation {
        email_domains: ["hamiltonschools.org", "*.district.org"]
            .map(|rule| DomainRule::parse(rule).unwrap())
            .to_vec(),
        ..invitation(InvitationKind::EnrollmentCode)
    };
    #[rustfmt::skip]
    let cases = [
        (Some("mia@hamiltonschools.org"), true, Decision::Admit),
        (Some("mia@a.district.org"), true, Decision::Admit),
        (Some("mia@district.org"), true, Decision::Refuse(EmailDomainNotAllowed)),
        (Some("mia@evilhamiltonschools.org"), true, Decision::Refuse(EmailDomainNotAllowed)),
        (Some("mia@hamiltonschools.org"), false, Decision::Refuse(EmailUnverified)),
        (Some("mia@evil.org"), false, Decision::Refuse(EmailUnverified)),
        (None, true, Decision::Refuse(EmailUnverified)),
    ];
    for (address, email_verified, expected) in cases {
        let attempt = Facts {
            email: address.map(email),
            email_verified,
            ..attempt()
        };
        assert_eq!(decide(&code, &attempt, now()), expected, "{address:?}");
    }
}

#[test]
fn a8_an_assigned_token_is_for_one_verified_address_or_student_id() {
    let token = |assigned_email: Option<&str>, external_id: Option<&str>| Invitation {
        assigned_email: assigned_email.map(email),
        external_id: external_id.map(str::to_owned),
        ..invitation(InvitationKind::ClassToken)
    };
    let another = Decision::Refuse(TokenAssignedToAnother);
    for (assigned_email, external_id, expected) in [
        (Some("MIA@HamiltonSchools.org"), None, Decision::Admit),
        (Some("tom@hamiltonschools.org"), None, another),
        (None, Some("S-17"), Decision::Admit),
        (None, Some("s-17"), another),
        (Some("mia@hamiltonschools.org"), Some("S-18"), another),
        (
            Some("mia@hamiltonschools.org"),
            Some("S-17"),
            Decision::Admit,
        ),
    ] {
        let decision = decide(&token(assigned_email, external_id), &attempt(), now());
        assert_eq!(decision, expected, "{assigned_email:?} {external_id:?}");
    }
    // Claiming an address reveals to nobody whether it is the right one.
    for claimed in ["mia@hamiltonschools.org", "tom@hamiltonschools.org"] {
        let claims = Facts {
            email: Some(email(claimed)),
            email_verified: false,
            ..attempt()
        };
        let token = token(Some("mia@hamiltonschools.org"), None);
        assert_eq!(
            decide(&token, &claims, now()),
            Decision::Refuse(EmailUnverified)
        );
    }
    let nobody = Facts {
        external_id: None,
        ..attempt()
    };
    assert_eq!(decide(&token(None, Some("S-17")), &nobody, now()), another);
}

#[test]
fn c14_a_join_url_grants_no_sign_up_and_all_else_does() {
    let signing_up = Facts {
        sign_up: true,
        ..attempt()
    };
    for kind in InvitationKind::ALL {
        let expected = match kind {
            InvitationKind::JoinUrl => Decision::Refuse(SignUpNotGranted),
            _ => Decision::Admit,
        };
        assert_eq!(
            decide(&invitation(kind), &signing_up, now()),
            expected,
            "{kind:?}"
        );
    }
}

#[test]
fn r10_under_guessing_short_credentials_queue_for_users_not_vouched_for() {
    for kind in InvitationKind::ALL {
        for vouched in [false, true] {
            let guarded = Facts {
                vouched,
                guess_guarded: true,
                ..attempt()
            };
            let expected = match kind {
                InvitationKind::JoinUrl => Decision::Queue(QueueCause::JoinUrl),
                InvitationKind::ClassToken | InvitationKind::EnrollmentCode if !vouched => {
                    Decision::Queue(QueueCause::GuessGuard)
                }
                _ => Decision::Admit,
            };
            assert_eq!(
                decide(&invitation(kind), &guarded, now()),
                expected,
                "{kind:?} {vouched}"
            );
        }
    }
}

#[test]
fn a14_b8_staff_see_the_state() {
    let code = invitation(InvitationKind::EnrollmentCode);
    let with = |change: fn(&mut Invitation)| {
        let mut changed = code.clone();
        change(&mut changed);
        changed.state(now())
    };
    assert_eq!(code.state(now()), InvitationState::Active);
    assert_eq!(
        with(|code| code.standing = Standing::Off),
        InvitationState::Disabled
    );
    assert_eq!(
        with(|code| code.standing = Standing::Revoked),
        InvitationState::Revoked
    );
    assert_eq!(
        with(|code| code.valid_till = Some(now())),
        InvitationState::Expired
    );
    let early = with(|code| code.valid_from = Some(now() + MICROSECOND));
    assert_eq!(early, InvitationState::NotYetValid);
    assert_eq!(
        with(|code| code.max_uses = Some(0)),
        InvitationState::UsedUp
    );
}

#[test]
fn causes_read_back_by_their_names() {
    for cause in [
        QueueCause::JoinUrl,
        QueueCause::CodeLocked,
        QueueCause::GuessGuard,
    ] {
        assert_eq!(QueueCause::from_name(cause.as_str()), Some(cause));
    }
    assert_eq!(QueueCause::from_name("REMOVED_BEFORE"), None);
}

/// Returns the invitation, expired and with every use spent.
fn spent(invitation: Invitation) -> Invitation {
    Invitation {
        valid_till: Some(now()),
        max_uses: Some(1),
        uses: Uses {
            used: 1,
            ..Uses::default()
        },
        ..invitation
    }
}
