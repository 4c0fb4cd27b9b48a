use proptest::prelude::*;

use super::*;

fn any_invitation() -> impl Strategy<Value = Invitation> {
    let moment = || prop::option::of((-2_i64..=2).prop_map(|days| now() + TimeDelta::days(days)));
    let uses = (0_u32..3, 0_u32..3, 0_u32..3).prop_map(|(used, reserved, queued)| Uses {
        used,
        reserved,
        queued,
    });
    let standing = prop::sample::select(vec![
        Standing::On,
        Standing::On,
        Standing::Off,
        Standing::Revoked,
    ]);
    (
        prop::sample::select(InvitationKind::ALL.to_vec()),
        standing,
        (moment(), moment()),
        (prop::option::of(0_u32..4), uses),
        (any::<bool>(), any::<bool>(), any::<bool>()),
    )
        .prop_map(
            |(kind, standing, (from, till), (max_uses, uses), (assigned, known, inside))| {
                let rule = if inside {
                    "hamiltonschools.org"
                } else {
                    "district.org"
                };
                Invitation {
                    standing,
                    valid_from: from,
                    valid_till: till,
                    max_uses,
                    uses,
                    assigned_email: assigned.then(|| email("mia@hamiltonschools.org")),
                    external_id: known.then(|| "S-17".to_owned()),
                    email_domains: vec![DomainRule::parse(rule).unwrap()],
                    ..invitation(kind)
                }
            },
        )
}

fn any_attempt() -> impl Strategy<Value = Facts> {
    let address = prop::sample::select(vec![
        None,
        Some("mia@hamiltonschools.org"),
        Some("tom@district.org"),
    ]);
    (address, any::<[bool; 7]>()).prop_map(
        |(
            address,
            [
                email_verified,
                has_id,
                vouched,
                sign_up,
                guess_guarded,
                has_use,
                known,
            ],
        )| Facts {
            email: address.map(email),
            email_verified,
            external_id: has_id.then(|| "S-17".to_owned()),
            vouched,
            sign_up,
            guess_guarded,
            has_use,
            known,
            ..attempt()
        },
    )
}

#[test]
fn r4_staff_get_every_failing_rule_in_the_order_of_precedence() {
    let worst = Invitation {
        standing: Standing::Off,
        valid_from: Some(now() + MICROSECOND),
        assigned_email: Some(email("tom@hamiltonschools.org")),
        email_domains: vec![DomainRule::parse("district.org").unwrap()],
        ..spent(invitation(InvitationKind::JoinUrl))
    };
    let attempt = Facts {
        email_verified: false,
        sign_up: true,
        ..attempt()
    };
    assert_eq!(
        failing_rules(&worst, &attempt, now()),
        [
            CodeNotUsable,
            SignUpNotGranted,
            NotYetValid,
            EmailUnverified,
            TokenAssignedToAnother,
            EmailDomainNotAllowed,
            NoLongerValid,
            UsedUp,
        ]
    );
}

proptest! {
    #[test]
    fn r4_the_decision_is_the_first_failing_rule(invitation in any_invitation(), attempt in any_attempt()) {
        let decision = decide(&invitation, &attempt, now());
        let failures = failing_rules(&invitation, &attempt, now());
        prop_assert_eq!(decision.refusal(), failures.first().copied());
        prop_assert_eq!(decision.holds_use(), failures.is_empty());
    }

    #[test]
    fn p3_known_people_are_asked_for_only_where_all_else_is_right(
        invitation in any_invitation(), attempt in any_attempt(),
    ) {
        let failures = failing_rules(&invitation, &attempt, now());
        let decision = decide(&invitation, &attempt, now());
        if !attempt.known && let Decision::OnlyIfKnown(_) = decision {
            let spent = [NoLongerValid, UsedUp, UseInProgress];
            prop_assert!(failures.iter().all(|reason| spent.contains(reason)), "{:?}", failures);
        }
        if failures.contains(&NoLongerValid) && failures.len() == 1 {
            prop_assert_eq!(decision, Decision::OnlyIfKnown(NoLongerValid));
        }
    }

    #[test]
    fn r2_whom_membership_knows_is_asked_for_before_every_refusal_of_a_living_invitation(
        invitation in any_invitation(), attempt in any_attempt(),
    ) {
        let attempt = Facts { known: true, ..attempt };
        if let Decision::Refuse(reason) = decide(&invitation, &attempt, now()) {
            prop_assert_eq!(reason, CodeNotUsable);
        }
    }

    #[test]
    fn i3_nothing_is_admitted_above_its_uses(invitation in any_invitation(), attempt in any_attempt()) {
        if decide(&invitation, &attempt, now()).holds_use() {
            let is_left = invitation.max_uses.is_none_or(|max| invitation.uses.held() < max);
            prop_assert!(is_left || attempt.has_use);
            prop_assert_eq!(invitation.standing, Standing::On);
        }
    }
}
