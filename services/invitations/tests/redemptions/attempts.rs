//! The data of an attempt that is believed, and the violations of a request.

use homeroom_api::{common::v1::User, invitations::v1::RedeemRequest};
use homeroom_invitations::redemption::request::Attempt;
use homeroom_kit::{
    Result,
    auth::{Caller, Scope},
};

use crate::world::{CODE, caller, keys, public_url};

fn read(caller: &Caller, request: &RedeemRequest) -> Result<Attempt> {
    Attempt::of_redeem(caller, request, "", &public_url(), &keys())
}

fn request() -> RedeemRequest {
    RedeemRequest {
        credential: CODE.to_owned(),
        ..RedeemRequest::default()
    }
}

fn for_user(name: &str) -> RedeemRequest {
    RedeemRequest {
        user: Some(User {
            user: name.to_owned(),
            display_name: "Given".to_owned(),
            email: "given@school.example".to_owned(),
            email_verified: true,
            external_id: "given-1".to_owned(),
        }),
        client_ip: "192.0.2.7".to_owned(),
        ..request()
    }
}

fn with_claims() -> Caller {
    let mut caller = caller("ann");
    caller.email = Some("claimed@school.example".to_owned());
    caller.email_verified = true;
    caller.external_id = Some("claimed-1".to_owned());
    caller.display_name = Some("Claimed".to_owned());
    caller.client_address = "198.51.100.1".parse().ok();
    caller
}

#[test]
fn u14_a_person_says_nothing_of_themselves_but_the_name_that_their_token_lacks() {
    let attempt = read(&with_claims(), &for_user("ann")).ok().unwrap();
    assert_eq!(attempt.person.email, "claimed@school.example");
    assert_eq!(attempt.person.external_id, "claimed-1");
    assert_eq!(attempt.person.display_name, "Claimed");
    let mut unnamed = with_claims();
    unnamed.display_name = None;
    let attempt = read(&unnamed, &for_user("ann")).ok().unwrap();
    assert_eq!(attempt.person.display_name, "Given");
    assert!(!attempt.refreshes_roster);
    assert_eq!(attempt.address, "198.51.100.1".parse().ok());
}

#[test]
fn proofs_are_believed_only_of_callers_that_vouch() {
    let acting = with_claims().with_scopes([Scope::ActAs]);
    let attempt = read(&acting, &for_user("bob")).ok().unwrap();
    assert_eq!(attempt.person.email, "given@school.example");
    assert!(!attempt.facts.email_verified);
    assert_eq!(attempt.facts.external_id, None);
    assert!(!attempt.facts.vouched);
    let vouching = with_claims().with_scopes([Scope::ActAs, Scope::Vouch]);
    let attempt = read(&vouching, &for_user("bob")).ok().unwrap();
    assert!(attempt.facts.email_verified);
    assert_eq!(attempt.facts.external_id.as_deref(), Some("given-1"));
    assert!(attempt.facts.vouched);
}

#[test]
fn r10_the_address_is_the_persons_own_or_unknown() {
    const PEER: &str = "198.51.100.1";
    const SENT: &str = "192.0.2.7";
    let direct = with_claims().with_scopes([Scope::ActAs]);
    let forwarding = with_claims().with_scopes([Scope::ActAs, Scope::ForwardIp]);
    let acting = |caller: &Caller| {
        let mut caller = caller.clone();
        caller.acting_for_another = true;
        caller
    };
    for (caller, user, sent, address) in [
        (direct.clone(), None, "", Some(PEER)),
        (direct.clone(), None, SENT, Some(PEER)),
        (direct.clone(), Some("ann"), SENT, Some(PEER)),
        (direct.clone(), Some("bob"), "", None),
        (direct.clone(), Some("bob"), SENT, None),
        (acting(&direct), None, "", None),
        (acting(&direct), None, SENT, None),
        (forwarding.clone(), None, "", Some(PEER)),
        (forwarding.clone(), None, SENT, Some(SENT)),
        (forwarding.clone(), Some("bob"), "", None),
        (forwarding.clone(), Some("bob"), SENT, Some(SENT)),
        (acting(&forwarding), None, "", None),
        (acting(&forwarding), None, SENT, Some(SENT)),
    ] {
        let asked = RedeemRequest {
            user: user.map(crate::world::person),
            client_ip: sent.to_owned(),
            ..request()
        };
        let attempt = read(&caller, &asked).ok().unwrap();
        let expected = address.map(|address| address.parse().unwrap());
        let another = caller.acting_for_another;
        assert_eq!(attempt.address, expected, "{another} {user:?} {sent}");
    }
}

#[test]
fn a_claims_verified_address_is_not_lent_to_another_address() {
    let acting = with_claims().with_scopes([Scope::ActAs]);
    let attempt = read(&acting, &for_user("ann")).ok().unwrap();
    assert_eq!(attempt.person.email, "given@school.example");
    assert!(!attempt.facts.email_verified);
}

#[test]
fn u14_the_roster_follows_a_persons_own_token_and_a_platform_that_vouches() {
    let mut unnamed = for_user("ann");
    unnamed.user.as_mut().unwrap().display_name = "\u{200b}".to_owned();
    let named = for_user("ann");
    let (unsaid, another) = (request(), for_user("bob"));
    let acts = [Scope::ActAs];
    let vouches = [Scope::ActAs, Scope::Vouch];
    let cases: [(&[Scope], &RedeemRequest, bool); 10] = [
        (&[], &unsaid, true),
        // The token says who they are; the name is only their own claim.
        (&[], &unnamed, true),
        (&[], &named, true),
        (&[Scope::Vouch], &named, true),
        (&acts, &unsaid, true),
        (&acts, &unnamed, false),
        (&acts, &named, false),
        (&vouches, &named, true),
        (&vouches, &another, true),
        (&acts, &another, false),
    ];
    for (scopes, asked, refreshes) in cases {
        let caller = with_claims().with_scopes(scopes.iter().copied());
        let attempt = read(&caller, asked).ok().unwrap();
        assert_eq!(attempt.refreshes_roster, refreshes, "{scopes:?} {asked:?}");
    }
}
