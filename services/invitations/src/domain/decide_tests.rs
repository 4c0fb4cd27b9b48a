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

#[path = "decide_properties_tests.rs"]
mod properties;

const MICROSECOND: TimeDelta = TimeDelta::microseconds(1);

pub(crate) fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap()
}

fn email(text: &str) -> EmailAddress {
    EmailAddress::parse(text).unwrap()
}

pub(crate) fn invitation(kind: InvitationKind) -> Invitation {
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

pub(crate) fn attempt() -> Facts {
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

fn decided(invitation: &Invitation, attempt: &Facts) -> Decision {
    decide(invitation, attempt, now())
}

/// Returns an invitation of this kind, changed so.
fn with(kind: InvitationKind, change: impl FnOnce(&mut Invitation)) -> Invitation {
    let mut invitation = invitation(kind);
    change(&mut invitation);
    invitation
}

/// Returns a class token with two uses, of which these are held.
fn token_of_two(used: u32, reserved: u32, queued: u32) -> Invitation {
    with(InvitationKind::ClassToken, |token| {
        token.max_uses = Some(2);
        token.uses = Uses {
            used,
            reserved,
            queued,
        };
    })
}

#[test]
fn a1_b3_c2_c9_each_way_in_admits_or_queues() {
    for kind in InvitationKind::ALL {
        let expected = match Policy::of(kind).admits {
            Admits::AlwaysQueue => Decision::Queue(QueueCause::JoinUrl),
            Admits::AtOnce | Admits::QueueOnceLocked => Decision::Admit,
        };
        let decision = decided(&invitation(kind), &attempt());
        assert_eq!(decision, expected, "{kind:?}");
        assert!(expected.holds_use() && expected.refusal().is_none());
    }
}

#[test]
fn c4_c5_a_locked_code_queues_from_the_moment_it_locks() {
    let code = invitation(InvitationKind::ClassCode);
    let lock_time = code.lock.unwrap().lock_time().unwrap();
    let before = decide(&code, &attempt(), lock_time - MICROSECOND);
    assert_eq!(before, Decision::Admit);
    let queue = Decision::Queue(QueueCause::CodeLocked);
    assert_eq!(decide(&code, &attempt(), lock_time), queue);
    let locked = Invitation {
        lock: code.lock.map(|lock| lock.locked(now())),
        ..code
    };
    assert_eq!(decided(&locked, &attempt()), queue);
}

#[test]
fn r5_what_is_off_or_revoked_answers_as_the_unknown_does() {
    for kind in InvitationKind::ALL {
        for standing in [Standing::Off, Standing::Revoked] {
            let gone = Invitation {
                standing,
                ..spent(invitation(kind))
            };
            let decision = decided(&gone, &attempt());
            assert_eq!(decision, Decision::Refuse(CodeNotUsable));
        }
    }
}

#[test]
fn b9_b5_valid_from_is_inclusive_and_valid_till_exclusive_though_the_switch_is_on() {
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
        let token = token_of_two(used, reserved, queued);
        let decision = decided(&token, &attempt());
        assert_eq!(decision, expected, "{used} {reserved} {queued}");
    }
    let unlimited = Invitation {
        max_uses: None,
        ..token_of_two(u32::MAX, 9, 9)
    };
    assert_eq!(decided(&unlimited, &attempt()), Decision::Admit);
}

#[test]
fn p4_u8_no_use_is_short_for_whom_it_belongs_to_and_nothing_else_is_changed_by_it() {
    let coming_back = Facts {
        has_use: true,
        ..attempt()
    };
    for (used, reserved) in [(2, 0), (1, 1), (9, 9)] {
        let token = token_of_two(used, reserved, 0);
        assert_eq!(decided(&token, &coming_back), Decision::Admit);
    }
    let expired = Invitation {
        valid_till: Some(now()),
        ..token_of_two(2, 0, 0)
    };
    let decision = decided(&expired, &coming_back);
    assert_eq!(decision, Decision::OnlyIfKnown(NoLongerValid));
}

#[test]
fn p3_only_what_is_otherwise_right_is_asked_whether_it_is_known() {
    let token = spent(invitation(InvitationKind::ClassToken));
    let decision = decided(&token, &attempt());
    assert_eq!(decision, Decision::OnlyIfKnown(NoLongerValid));
    let assigned = Invitation {
        assigned_email: Some(email("tom@hamiltonschools.org")),
        ..token
    };
    let decision = decided(&assigned, &attempt());
    assert_eq!(decision, Decision::Refuse(TokenAssignedToAnother));
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
        let readable = decided(&open, &attempt());
        assert_eq!(decided(&open, &malformed), readable, "{kind:?}");
        let for_domain = with(kind, |one| {
            one.email_domains = vec![DomainRule::parse("hamiltonschools.org").unwrap()];
        });
        let mia = email("mia@hamiltonschools.org");
        let for_one = with(kind, |one| one.assigned_email = Some(mia));
        for asking in [for_domain, for_one] {
            let refused = Decision::Refuse(EmailMalformed);
            assert_eq!(decided(&asking, &malformed), refused, "{kind:?}");
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
        assert_eq!(decided(&code, &attempt), expected, "{address:?}");
    }
}

#[test]
fn a8_an_assigned_token_is_for_one_verified_address_or_student_id() {
    const MIA: &str = "mia@hamiltonschools.org";
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
        (Some(MIA), Some("S-18"), another),
        (Some(MIA), Some("S-17"), Decision::Admit),
    ] {
        let decision = decided(&token(assigned_email, external_id), &attempt());
        assert_eq!(decision, expected, "{assigned_email:?} {external_id:?}");
    }
    // Claiming an address reveals to nobody whether it is the right one.
    for claimed in [MIA, "tom@hamiltonschools.org"] {
        let claims = Facts {
            email: Some(email(claimed)),
            email_verified: false,
            ..attempt()
        };
        let decision = decided(&token(Some(MIA), None), &claims);
        assert_eq!(decision, Decision::Refuse(EmailUnverified));
    }
    let nobody = Facts {
        external_id: None,
        ..attempt()
    };
    assert_eq!(decided(&token(None, Some("S-17")), &nobody), another);
}

#[test]
fn c14_what_grants_no_sign_up_refuses_who_signs_up_by_it() {
    let signing_up = Facts {
        sign_up: true,
        ..attempt()
    };
    for kind in InvitationKind::ALL {
        let decision = decided(&invitation(kind), &signing_up);
        let expected = if Policy::of(kind).grants_sign_up {
            decided(&invitation(kind), &attempt())
        } else {
            Decision::Refuse(SignUpNotGranted)
        };
        assert_eq!(decision, expected, "{kind:?}");
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
            let expected = match Policy::of(kind) {
                Policy {
                    admits: Admits::AlwaysQueue,
                    ..
                } => Decision::Queue(QueueCause::JoinUrl),
                policy if policy.short && !vouched => Decision::Queue(QueueCause::GuessGuard),
                _ => Decision::Admit,
            };
            let decision = decided(&invitation(kind), &guarded);
            assert_eq!(decision, expected, "{kind:?} {vouched}");
        }
    }
}

/// A change of an enrollment code, and its state then.
type Case = (fn(&mut Invitation), InvitationState);

#[test]
fn a14_b8_staff_see_the_state() {
    use InvitationState::{Active, Disabled, Expired, NotYetValid, Revoked, UsedUp};
    let cases: [Case; 6] = [
        (|_| {}, Active),
        (|code| code.standing = Standing::Off, Disabled),
        (|code| code.standing = Standing::Revoked, Revoked),
        (|code| code.valid_till = Some(now()), Expired),
        (
            |code| code.valid_from = Some(now() + MICROSECOND),
            NotYetValid,
        ),
        (|code| code.max_uses = Some(0), UsedUp),
    ];
    for (change, state) in cases {
        let code = with(InvitationKind::EnrollmentCode, change);
        assert_eq!(code.state(now()), state);
    }
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
