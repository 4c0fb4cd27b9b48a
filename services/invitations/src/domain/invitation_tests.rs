use super::*;
use crate::domain::way::{Admits, Policy, Way};

#[test]
fn c14_c3_the_table_of_the_ways_in() {
    use Admits::{AlwaysQueue, AtOnce, QueueOnceLocked};
    let table = InvitationKind::ALL.map(|kind| {
        let policy = Policy::of(kind);
        assert_eq!(Way::of(kind).made_on_use.is_some(), kind.is_singleton());
        let (sign_up, survives) = (policy.grants_sign_up, policy.survives_sign_up);
        let flags = [sign_up, survives, policy.may_be_public, policy.short];
        (kind.tag(), policy.admits, flags)
    });
    assert_eq!(
        table,
        [
            ("organization_token", AtOnce, [true, true, true, false]),
            ("class_token", AtOnce, [true, true, false, true]),
            ("enrollment_code", AtOnce, [true, true, false, true]),
            ("class_code", QueueOnceLocked, [true, true, false, false]),
            ("join_url", AlwaysQueue, [false, true, true, false]),
        ]
    );
}

#[test]
fn p7_an_epoch_only_rises() {
    assert_eq!(Epoch::FIRST.next(), Epoch::new(2));
    assert!(Epoch::FIRST.next() > Epoch::FIRST);
    assert_eq!(Epoch::new(i64::MAX).next().value(), i64::MAX);
}

#[test]
fn a14_a_class_token_lives_30_days_and_admits_one() {
    assert_eq!(CLASS_TOKEN_LIFETIME, TimeDelta::days(30));
    assert_eq!(CLASS_TOKEN_USES, 1);
}

#[test]
fn p4_held_uses_never_overflow() {
    let uses = Uses {
        used: u32::MAX,
        reserved: 1,
        queued: 1,
    };
    assert_eq!(uses.held(), u32::MAX);
}
