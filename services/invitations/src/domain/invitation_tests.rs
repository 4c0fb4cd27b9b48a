use super::*;

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
