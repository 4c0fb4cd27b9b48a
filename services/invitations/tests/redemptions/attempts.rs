//! The data of an attempt that is believed, and the violations of a request.

use homeroom_api::{
    common::v1::{ErrorReason, User},
    invitations::v1::RedeemRequest,
};
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
fn without_a_user_it_is_the_acting_user_as_its_claims_have_it() {
    let attempt = read(&with_claims(), &request()).ok().unwrap();
    assert_eq!(attempt.person.user.as_str(), "ann");
    assert_eq!(attempt.person.email, "claimed@school.example");
    assert_eq!(attempt.person.display_name, "Claimed");
    assert_eq!(attempt.person.external_id, "claimed-1");
    assert!(attempt.facts.email_verified);
    assert!(!attempt.facts.vouched);
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
fn another_user_needs_act_as() {
    let error = read(&with_claims(), &for_user("bob")).err().unwrap();
    assert_eq!(error.reason(), ErrorReason::ScopeMissing);
    assert_eq!(error.metadata_entries()["scope"], "homeroom.act_as");
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
fn an_address_is_believed_only_of_callers_that_forward_it() {
    let forwarding = with_claims().with_scopes([Scope::ForwardIp]);
    let attempt = read(&forwarding, &for_user("ann")).ok().unwrap();
    assert_eq!(attempt.address, "192.0.2.7".parse().ok());
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
fn every_violation_is_named_before_any_scope_is_missed() {
    let mut wrong = for_user("no good");
    wrong.credential = " ".to_owned();
    wrong.organization = "hamilton".to_owned();
    wrong.client_ip = "here".to_owned();
    wrong.request_id = "1".to_owned();
    let user = wrong.user.as_mut().unwrap();
    user.email = "nobody".to_owned();
    user.display_name = "x".repeat(201);
    user.external_id = "x".repeat(129);
    // Data about a person causes no violation.
    let error = read(&caller("ann"), &wrong).err().unwrap();
    assert_eq!(error.reason(), ErrorReason::InvalidRequest);
    let mut fields: Vec<&str> = error
        .field_violations()
        .iter()
        .map(|found| found.field.as_str())
        .collect();
    fields.sort_unstable();
    assert_eq!(
        fields,
        [
            "client_ip",
            "credential",
            "organization",
            "request_id",
            "user.user"
        ]
    );
}

#[test]
fn a_credential_has_at_most_512_bytes_and_a_readable_form() {
    for (credential, reason) in [
        ("x".repeat(513), ErrorReason::InvalidRequest),
        ("\u{202e}abc".to_owned(), ErrorReason::CodeMalformed),
        (
            "https://elsewhere.example/j/abc".to_owned(),
            ErrorReason::CodeMalformed,
        ),
    ] {
        let wrong = RedeemRequest {
            credential,
            ..request()
        };
        assert_eq!(read(&caller("ann"), &wrong).err().unwrap().reason(), reason);
    }
}

/// Data about a person, and the part of it that is kept: name, address, external id.
const SAID: [([&str; 3], [&str; 3]); 12] = [
    (
        ["Ada", "Ada@School.example", "s-1"],
        ["Ada", "Ada@school.example", "s-1"],
    ),
    (["\u{200b}", " ", "\u{feff}"], ["", "", ""]),
    (
        ["A\u{202e}da", " ada@school.example\n", " s-1\u{a0}"],
        ["Ada", "ada@school.example", "s-1"],
    ),
    (["", "ada..l@school.example", ""], ["", "", ""]),
    (["", ".ada@school.example", "s\u{0}1"], ["", "", ""]),
    (["", "ada.@school.example", "\u{202e}s-1"], ["", "", ""]),
    (["", "m\u{fc}ller@school.example", ""], ["", "", ""]),
    (
        ["", "ada@sch\u{fc}le.example", ""],
        ["", "ada@xn--schle-mva.example", ""],
    ),
    (["", "ada@school", ""], ["", "", ""]),
    (["", "Ada <ada@school.example>", ""], ["", "", ""]),
    (["", "ada@school.example;", "s\t1"], ["", "", ""]),
    (["", "unknown", ""], ["", "", ""]),
];

#[test]
fn u5_u6_u13_what_is_said_of_a_person_is_kept_alike_whoever_says_it_and_stops_nobody() {
    let long = "x".repeat(300);
    let cut = "x".repeat(200);
    let longest = "s".repeat(129);
    let too_long = [long.as_str(), "a@b.org", longest.as_str()];
    let all = SAID
        .into_iter()
        .chain([(too_long, [cut.as_str(), "a@b.org", ""])]);
    let vouching = caller("lms").with_scopes([Scope::ActAs, Scope::Vouch]);
    for ([name, email, id], kept) in all {
        let mut own = caller("ada");
        own.display_name = Some(name.to_owned());
        own.email = Some(email.to_owned());
        own.email_verified = true;
        own.external_id = Some(id.to_owned());
        let told = RedeemRequest {
            user: Some(User {
                user: "ada".to_owned(),
                display_name: name.to_owned(),
                email: email.to_owned(),
                email_verified: true,
                external_id: id.to_owned(),
            }),
            ..request()
        };
        for attempt in [read(&own, &request()), read(&vouching, &told)] {
            let attempt = attempt.ok().unwrap();
            let person = &attempt.person;
            let found = [&person.display_name, &person.email, &person.external_id];
            assert_eq!(found, kept, "{name:?} {email:?} {id:?}");
            assert_eq!(attempt.facts.email_verified, !kept[1].is_empty());
            let malformed = kept[1].is_empty() && !email.trim().is_empty();
            assert_eq!(attempt.facts.email_malformed, malformed, "{email:?}");
            let decides = Some(kept[2].to_owned()).filter(|id| !id.is_empty());
            assert_eq!(attempt.facts.external_id, decides, "{id:?}");
        }
    }
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
