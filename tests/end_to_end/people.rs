//! The particulars of a person, through every method: one table of values, with the same rule for each at every method.
//! A name decides nothing and is cleaned. An id or an address decides only if an invitation asks for it: elsewhere one
//! that cannot be stored is left out, and staff who enter it get an error.

use crate::assert_audited;
use homeroom_api::{
    common::v1::{ErrorReason, Role, User},
    invitations::v1::{
        BatchRedeemRequest, CreateTokenRequest, EnrollmentCode, GetJoinUrlRequest,
        ListRefusedAttemptsRequest, ListTokensRequest, PreviewRedemptionRequest, RedeemRequest,
        RedemptionOutcome, Token, UpdateTokenRequest, batch_redeem_response::result::Outcome,
    },
    membership::v1::{
        AddOrganizationMemberRequest, AdmitRequest, Class, CreateClassRequest,
        CreateOrganizationRequest, DenyJoinRequestRequest, GetOrganizationMemberRequest,
        ListJoinRequestsRequest, ListOrganizationMembersRequest, Member, Organization,
        UpdateClassRequest, UpdateOrganizationMemberRequest, UpdateOrganizationRequest, admission,
        admit_request, member::provenance::Method,
    },
};
use homeroom_tests::{
    Claims, Homeroom, School, field_mask, member, on_both_engines, person, reason, timestamp,
    violated_fields,
};

/// A platform that vouches for the data on its users.
const LMS: Claims<'static> = Claims {
    scopes: &["homeroom.act_as", "homeroom.vouch"],
    ..Claims::of("lms")
};

/// The given data on a person, and the data that the roster shows.
#[derive(Debug, Clone, Copy)]
struct Said {
    name: &'static str,
    kept_name: &'static str,
    external_id: &'static str,
    kept_id: &'static str,
    email: &'static str,
    kept_email: &'static str,
    /// The one field that is refused when staff enter it.
    refused: Option<(&'static str, ErrorReason)>,
}

const fn named(name: &'static str, kept_name: &'static str) -> Said {
    Said {
        name,
        kept_name,
        external_id: "",
        kept_id: "",
        email: "",
        kept_email: "",
        refused: None,
    }
}

const fn id(external_id: &'static str, kept_id: &'static str) -> Said {
    Said {
        external_id,
        kept_id,
        refused: if kept_id.is_empty() {
            Some(("external_id", ErrorReason::InvalidRequest))
        } else {
            None
        },
        ..named("", "")
    }
}

const fn email(email: &'static str, kept_email: &'static str) -> Said {
    Said {
        email,
        kept_email,
        refused: if kept_email.is_empty() {
            Some(("email", ErrorReason::EmailMalformed))
        } else {
            None
        },
        ..named("", "")
    }
}

macro_rules! fifty {
    () => {
        "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
    };
}

const TABLE: [Said; 26] = [
    named("Ada Lovelace", "Ada Lovelace"),
    // The marks are right-to-left marks around a Hebrew name, an Arabic letter mark, embeddings,
    // overrides, isolates.
    named("\u{200f}נועם לוי\u{200f}", "נועם לוי"),
    named("\u{61c}ليلى\u{200e}", "ليلى"),
    named("\u{202b}دانا\u{202c}", "دانا"),
    named("\u{202e}adA\u{202d}", "adA"),
    named("\u{2066}Ada\u{2067} \u{2068}L\u{2069}", "Ada L"),
    named("\u{202a}\u{200f}", ""),
    // A name of invisible characters counts as no name.
    named("\u{200b}\u{feff} \u{3164}", ""),
    // Characters that belong to the spelling stay: a joiner, a combining mark.
    named("می\u{200c}خواهم", "می\u{200c}خواهم"),
    named("Ada\nLovelace\u{0}\u{7f}", "Ada Lovelace"),
    named(
        concat!(fifty!(), fifty!(), fifty!(), fifty!(), fifty!()),
        concat!(fifty!(), fifty!(), fifty!(), fifty!()),
    ),
    id("S-4711", "S-4711"),
    id("מזהה", "מזהה"),
    id(" S-4711\t", "S-4711"),
    id("\u{feff}S-4711\u{a0}", "S-4711"),
    id("\u{200f}4711", ""),
    id("47\u{0}11", ""),
    id("47\n11", ""),
    id(concat!(fifty!(), fifty!(), fifty!()), ""),
    email("Ada@School.example", "ada@school.example"),
    email(" ada@school.example\n", "ada@school.example"),
    email("ada@SCHÜLE.example", "ada@xn--schle-mva.example"),
    email("ada..l@school.example", ""),
    email("müller@school.example", ""),
    email("ada@school", ""),
    email("\u{202e}ada@school.example", ""),
];

fn user(id: &str, said: Said) -> User {
    User {
        user: id.to_owned(),
        display_name: said.name.to_owned(),
        email: said.email.to_owned(),
        email_verified: false,
        external_id: said.external_id.to_owned(),
    }
}

async fn on_roster(school: &School, user: &str) -> Member {
    let request = GetOrganizationMemberRequest {
        name: format!("{}/members/{user}", school.organization),
    };
    let mut members = school.admin.clone().members;
    members
        .get_organization_member(request)
        .await
        .unwrap()
        .into_inner()
}

/// Checks that the roster shows what can be stored, in its stored form.
async fn assert_kept(school: &School, user: &str, said: Said) {
    let member = on_roster(school, user).await;
    let shown = [member.display_name, member.external_id, member.email];
    assert_eq!(
        shown,
        [said.kept_name, said.kept_id, said.kept_email],
        "{said:?}"
    );
}

fn assert_refused(status: &tonic::Status, field: &str, reason_wanted: ErrorReason) {
    assert_eq!(reason(status), reason_wanted.as_str_name(), "{field}");
    assert_eq!(violated_fields(status), [field]);
}

/// Calls membership directly, as the invitations service does.
async fn admitted_at_the_port(
    homeroom: &Homeroom,
    school: &School,
    user: User,
) -> (admission::Outcome, ErrorReason) {
    let request = AdmitRequest {
        redemption: format!("{}/redemptions/{}", school.organization, homeroom.new_id()),
        invitation: format!("{}/classCode", school.class),
        parent: school.class.clone(),
        user: Some(user),
        route: admit_request::Route::AdmitAtOnce.into(),
        method: Method::ClassCode.into(),
        invitation_issue_time: Some(timestamp(homeroom.now())),
        ..Default::default()
    };
    let invitations = Claims {
        scopes: &["homeroom.admit"],
        ..Claims::of("invitations")
    };
    let mut port = homeroom.user_with(invitations).admissions;
    let first = port
        .admit(request.clone())
        .await
        .unwrap()
        .into_inner()
        .admission
        .unwrap();
    let again = port
        .admit(request)
        .await
        .unwrap()
        .into_inner()
        .admission
        .unwrap();
    assert_eq!(
        (again.outcome, again.refuse_reason),
        (first.outcome, first.refuse_reason),
        "P1: an answer is stored"
    );
    (first.outcome(), first.refuse_reason())
}

on_both_engines! {
async fn p1_u6_what_is_said_of_a_person_is_kept_alike_through_every_door(homeroom) {
    // Given a class, and the same data on one person after another,
    let school = homeroom.school().await;
    let code = school.class_code().await.code;
    for (row, said) in TABLE.into_iter().enumerate() {
        // a person's own token admits them, whatever its claims say,
        let own = format!("own-{row}");
        let claims = Claims { name: said.name, external_id: said.external_id, email: said.email, ..Claims::of(&own) };
        let redeemed = homeroom.user_with(claims).redeem(&code).await.unwrap();
        assert_eq!(redeemed.outcome(), RedemptionOutcome::Admitted, "{said:?}");
        assert_kept(&school, &own, said).await;

        // and so do a platform's words, alone, in a batch and in a preview;
        let lms = homeroom.user_with(LMS);
        let [field, row_field, batch, preview] = ["field", "row", "batch", "preview"].map(|door| format!("{door}-{row}"));
        let request = |id: &str| RedeemRequest { credential: code.clone(), user: Some(user(id, said)), ..Default::default() };
        lms.redeem_with(request(&field)).await.unwrap();
        assert_kept(&school, &field, said).await;
        let beside = RedeemRequest { credential: code.clone(), user: Some(user(&row_field, named("Bob", "Bob"))), ..Default::default() };
        let rows = BatchRedeemRequest { requests: vec![beside, request(&batch)] };
        let rows = lms.clone().redemptions.batch_redeem(rows).await.unwrap().into_inner().results;
        assert!(rows.into_iter().all(|row| matches!(row.outcome, Some(Outcome::Redemption(_)))), "{said:?}");
        assert_kept(&school, &batch, said).await;
        let previewed = lms.clone().redemptions.preview_redemption(PreviewRedemptionRequest { credential: code.clone(), user: Some(user(&preview, said)), ..Default::default() }).await;
        assert_eq!(previewed.unwrap().into_inner().outcome(), RedemptionOutcome::Admitted);

        // a staff call names what cannot be kept,
        let added = format!("added-{row}");
        let new = Member { display_name: said.name.to_owned(), email: said.email.to_owned(), external_id: said.external_id.to_owned(), ..member(&added, Role::Student) };
        let request = AddOrganizationMemberRequest { parent: school.organization.clone(), member: Some(new.clone()), ..Default::default() };
        match (school.admin.clone().members.add_organization_member(request).await, said.refused) {
            (Ok(_), None) => assert_kept(&school, &added, said).await,
            (Err(status), Some((name, reason))) => assert_refused(&status, &format!("member.{name}"), reason),
            (answer, _) => panic!("{said:?}: {answer:?}"),
        }

        // as do a change of a member and a token for one person;
        let update = UpdateOrganizationMemberRequest {
            member: Some(Member { name: format!("{}/members/own-0", school.organization), ..new.clone() }),
            update_mask: field_mask(&["display_name", "email", "external_id"]),
            ..Default::default()
        };
        match (school.admin.clone().members.update_organization_member(update).await, said.refused) {
            (Ok(_), None) => assert_kept(&school, "own-0", said).await,
            (Err(status), Some((name, reason))) => assert_refused(&status, &format!("member.{name}"), reason),
            (answer, _) => panic!("{said:?}: {answer:?}"),
        }
        // A label is bounded where a person's name is cut.
        let label = if said.name.len() > 200 { said.kept_name } else { said.name };
        let token = Token { display_name: label.to_owned(), external_id: said.external_id.to_owned(), assigned_email: said.email.to_owned(), ..Default::default() };
        let request = CreateTokenRequest { parent: school.class.clone(), token: Some(token), ..Default::default() };
        match (school.teacher.clone().tokens.create_token(request).await, said.refused) {
            (Ok(token), None) => {
                let token = token.into_inner();
                assert_eq!((token.external_id.as_str(), token.assigned_email.as_str()), (said.kept_id, said.kept_email));
                assert_eq!(token.display_name, said.kept_name);
            }
            (Err(status), Some(("email", reason))) => assert_refused(&status, "token.assigned_email", reason),
            (Err(status), Some((name, reason))) => assert_refused(&status, &format!("token.{name}"), reason),
            (answer, _) => panic!("{said:?}: {answer:?}"),
        }

        // and membership's own port refuses nothing of it.
        let asked = format!("asked-{row}");
        let answer = admitted_at_the_port(homeroom, &school, user(&asked, said)).await;
        assert_eq!(answer, (admission::Outcome::Admitted, ErrorReason::Unspecified), "{said:?}");
        assert_kept(&school, &asked, said).await;
    }
}
}

on_both_engines! {
async fn input_names_and_notes_are_cleaned_wherever_they_are_kept(homeroom) {
    let school = homeroom.school().await;
    let turned = "\u{202e}Class\u{0} 1";
    let organization = CreateOrganizationRequest {
        organization_id: "jefferson".to_owned(),
        organization: Some(Organization { display_name: turned.to_owned(), ..Default::default() }),
        admin: "admin".to_owned(),
        ..Default::default()
    };
    let organization = school.platform.clone().organizations.create_organization(organization).await.unwrap().into_inner();
    assert_eq!(organization.display_name, "Class 1");
    let update = UpdateOrganizationRequest { organization: Some(Organization { display_name: turned.to_owned(), ..organization }), update_mask: field_mask(&["display_name"]), ..Default::default() };
    let updated = school.admin.clone().organizations.update_organization(update).await.unwrap().into_inner();
    assert_eq!(updated.display_name, "Class 1");
    let class = CreateClassRequest {
        parent: school.organization.clone(),
        class_id: "turned".to_owned(),
        class: Some(Class { display_name: turned.to_owned(), ..Default::default() }),
        ..Default::default()
    };
    let class = school.teacher.clone().classes.create_class(class).await.unwrap().into_inner();
    assert_eq!(class.display_name, "Class 1");
    let update = UpdateClassRequest { class: Some(Class { display_name: turned.to_owned(), ..class }), update_mask: field_mask(&["display_name"]), ..Default::default() };
    let updated = school.teacher.clone().classes.update_class(update).await.unwrap().into_inner();
    assert_eq!(updated.display_name, "Class 1");
    let code = school.enrollment_code(EnrollmentCode { code: "BIO101".to_owned(), display_name: turned.to_owned(), ..Default::default() }).await;
    assert_eq!(code.display_name, "Class 1");
    let request = homeroom.queued("eve", &school.join_url().await.url).await;
    let deny = DenyJoinRequestRequest { name: request.name, decide_note: "Ask\n\u{2066}again\u{7}".to_owned(), ..Default::default() };
    let denied = school.teacher.clone().join_requests.deny_join_request(deny).await.unwrap().into_inner();
    assert_eq!(denied.join_request.unwrap().decide_note, "Ask\nagain");
}
}

on_both_engines! {
async fn a8_an_id_that_cannot_be_kept_opens_nobodys_token(homeroom) {
    // Given a token for one external id,
    let school = homeroom.school().await;
    let token = school.token(Token { external_id: "4711".to_owned(), ..Default::default() }).await;
    // then a person who claims another id that only looks the same is not admitted,
    let claims = Claims { external_id: "\u{200f}4711", ..Claims::of("eve") };
    let refused = homeroom.user_with(claims).redeem(&token.phrase).await.unwrap_err();
    assert_eq!(reason(&refused), "TOKEN_ASSIGNED_TO_ANOTHER");
    // and a person who claims this id is.
    let claims = Claims { external_id: "4711", name: "\u{200f}נועם", ..Claims::of("noam") };
    homeroom.user_with(claims).redeem(&token.phrase).await.unwrap();
    let kept = on_roster(&school, "noam").await;
    assert_eq!((kept.external_id.as_str(), kept.display_name.as_str()), ("4711", "נועם"));
    assert_audited(homeroom).await;
}
}

/// Addresses that school systems have, but that cannot be used to admit anyone.
const IRREGULAR: [&str; 8] = [
    "ada..l@hamiltonschools.org",
    ".ada@hamiltonschools.org",
    "ada.@hamiltonschools.org",
    "müller@hamiltonschools.org",
    "ada@hamiltonschools",
    "Ada <ada@hamiltonschools.org>",
    "ada@hamiltonschools.org, eve@hamiltonschools.org",
    "n/a",
];

on_both_engines! {
async fn u5_an_irregular_address_is_told_where_an_address_is_asked_for_and_nowhere_else(homeroom) {
    // Given each way in, none of which asks for an address, and two that do,
    let school = homeroom.school().await;
    let open = [
        school.class_code().await.code,
        school.invite_token().await.token,
        school.token(Token { max_uses: Some(0), ..Default::default() }).await.phrase,
        school.enrollment_code(EnrollmentCode { code: "OPEN2026X7".to_owned(), ..Default::default() }).await.full_code,
        school.join_url().await.url,
    ];
    let asking = [
        school.enrollment_code(EnrollmentCode { code: "STAFF2026X7".to_owned(), email_domains: vec!["hamiltonschools.org".to_owned()], ..Default::default() }).await.full_code,
        school.token(Token { assigned_email: "ada@hamiltonschools.org".to_owned(), max_uses: Some(0), ..Default::default() }).await.phrase,
    ];
    let redeem = async |door: usize, user: &str, email: &str, credential: &str| {
        let own = Claims { email, email_verified: true, ..Claims::of(user) };
        if door == 0 {
            return homeroom.user_with(own).redeem(credential).await;
        }
        let told = User { user: user.to_owned(), email: email.to_owned(), email_verified: true, ..Default::default() };
        let request = RedeemRequest { credential: credential.to_owned(), user: Some(told), ..Default::default() };
        homeroom.user_with(LMS).redeem_with(request).await
    };
    // Blanks around an address are no part of it, and capitals make no difference.
    for (row, email) in [" ada@hamiltonschools.org", "ada@hamiltonschools.org\u{a0}", "\u{200b}Ada@HamiltonSchools.ORG"].into_iter().enumerate() {
        for door in 0..2 {
            for (way, credential) in asking.iter().enumerate() {
                let redeemed = redeem(door, &format!("right-{row}-{door}-{way}"), email, credential).await;
                assert_eq!(redeemed.unwrap().outcome(), RedemptionOutcome::Admitted, "{email:?}");
            }
        }
    }
    // When a person's own token or a platform that vouches has an irregular one,
    for (row, email) in IRREGULAR.into_iter().enumerate() {
        for door in 0..2 {
            // then whatever asks for no address lets them in, or to the queue,
            for (way, credential) in open.iter().enumerate() {
                let user = format!("in-{row}-{door}-{way}");
                let redeemed = redeem(door, &user, email, credential).await;
                assert!(redeemed.is_ok(), "{email} {credential}: {redeemed:?}");
            }
            // and the rest says what is wrong.
            for credential in &asking {
                let user = format!("out-{row}-{door}");
                let refused = redeem(door, &user, email, credential).await.unwrap_err();
                assert_refused(&refused, "user.email", ErrorReason::EmailMalformed);
            }
        }
    }
    // The refused person is listed among the refused attempts.
    homeroom.eventually("the attempts are logged", async || {
        let request = ListRefusedAttemptsRequest { parent: school.organization.clone(), filter: "reason = EMAIL_MALFORMED".to_owned(), ..Default::default() };
        let listed = school.admin.clone().redemptions.list_refused_attempts(request).await.unwrap().into_inner();
        !listed.refused_attempts.is_empty()
    }).await;
}
}

on_both_engines! {
async fn u13_blanks_around_an_external_id_are_no_part_of_it_wherever_it_enters(homeroom) {
    let school = homeroom.school().await;
    let spellings = ["S-1", " S-1", "S-1 ", "\tS-1\r\n", "\u{a0}S-1\u{3000}", "\u{feff}S-1\u{200b}"];
    for (row, typed) in spellings.into_iter().enumerate() {
        let token = school.token(Token { external_id: typed.to_owned(), max_uses: Some(0), ..Default::default() }).await;
        assert_eq!(token.external_id, "S-1", "{typed:?}");
        for (column, claimed) in spellings.into_iter().enumerate() {
            let own = format!("own-{row}-{column}");
            let claims = Claims { external_id: claimed, ..Claims::of(&own) };
            let redeemed = homeroom.user_with(claims).redeem(&token.phrase).await;
            assert_eq!(redeemed.unwrap().outcome(), RedemptionOutcome::Admitted, "{typed:?} {claimed:?}");
            let told = User { external_id: claimed.to_owned(), ..person(&format!("told-{row}-{column}")) };
            let request = RedeemRequest { credential: token.phrase.clone(), user: Some(told), ..Default::default() };
            let redeemed = homeroom.user_with(LMS).redeem_with(request).await;
            assert_eq!(redeemed.unwrap().outcome(), RedemptionOutcome::Admitted, "{typed:?} {claimed:?}");
        }
        // A change keeps it alike,
        let update = UpdateTokenRequest { token: Some(Token { name: token.name.clone(), external_id: typed.to_owned(), ..Default::default() }), ..Default::default() };
        let updated = school.teacher.clone().tokens.update_token(update).await.unwrap().into_inner();
        assert_eq!(updated.etag, token.etag, "{typed:?} is what it was");
        // and lists find it, on both sides.
        let filter = format!("external_id = \"{typed}\"");
        let tokens = ListTokensRequest { parent: school.class.clone(), filter: filter.clone(), ..Default::default() };
        let tokens = school.teacher.clone().tokens.list_tokens(tokens).await.unwrap().into_inner().tokens;
        assert_eq!(tokens.len(), row + 1, "{typed:?}");
        let members = ListOrganizationMembersRequest { parent: school.organization.clone(), filter, page_size: 1000, ..Default::default() };
        let members = school.admin.clone().members.list_organization_members(members).await.unwrap().into_inner().members;
        assert_eq!(members.len(), (row + 1) * spellings.len() * 2, "{typed:?}");
    }
    // A blank within an id is part of it.
    let token = school.token(Token { external_id: "S 1".to_owned(), ..Default::default() }).await;
    let claims = Claims { external_id: "S-1", ..Claims::of("eve") };
    let refused = homeroom.user_with(claims).redeem(&token.phrase).await.unwrap_err();
    assert_eq!(reason(&refused), "TOKEN_ASSIGNED_TO_ANOTHER");
}
}

on_both_engines! {
async fn u14_the_roster_follows_what_later_redemptions_say(homeroom) {
    let school = homeroom.school().await;
    let code = school.class_code().await.code;
    let chemistry = school.another_class("chemistry").await;
    let url = GetJoinUrlRequest { name: format!("{chemistry}/joinUrl") };
    let url = school.teacher.clone().join_urls.get_join_url(url).await.unwrap().into_inner().url;
    let told = |name: &str, email: &str, external_id: &str| User {
        display_name: name.to_owned(),
        email: email.to_owned(),
        external_id: external_id.to_owned(),
        ..person("ann")
    };
    let acts = Claims { scopes: &["homeroom.act_as"], ..Claims::of("portal") };
    let redeem = async |claims: Claims<'_>, user: Option<User>, credential: &str| {
        let request = RedeemRequest { credential: credential.to_owned(), user, ..Default::default() };
        let redeemed = homeroom.user_with(claims).redeem_with(request).await.unwrap();
        homeroom.settled().await;
        redeemed.outcome()
    };
    let shown = async || {
        let member = on_roster(&school, "ann").await;
        [member.display_name, member.email, member.external_id]
    };
    // Given Ann, who joined by her platform,
    redeem(LMS, Some(told("Ann", "ann@x.org", "s-1")), &code).await;
    assert_eq!(shown().await, ["Ann", "ann@x.org", "s-1"]);
    let own = Claims { name: "Anna", email: "Anna@x.org", ..Claims::of("ann") };
    for (claims, user, credential, outcome, expected) in [
        // whoever does not vouch changes nothing, nor does she by what she calls herself,
        (acts, Some(told("Teacher", "t@x.org", "t-1")), &code, RedemptionOutcome::AlreadyMember, ["Ann", "ann@x.org", "s-1"]),
        (Claims::of("ann"), Some(told("Teacher", "t@x.org", "t-1")), &code, RedemptionOutcome::AlreadyMember, ["Ann", "ann@x.org", "s-1"]),
        // but her own token does, and so does her platform, whatever the redemption leads to.
        (own, None, &code, RedemptionOutcome::AlreadyMember, ["Anna", "anna@x.org", "s-1"]),
        (LMS, Some(told("Annabel", "", "s-2")), &url, RedemptionOutcome::PendingApproval, ["Annabel", "anna@x.org", "s-2"]),
        (LMS, Some(told("", "bel@x.org", "")), &url, RedemptionOutcome::PendingApproval, ["Annabel", "bel@x.org", "s-2"]),
    ] {
        let what = format!("{:?} {user:?}", claims.subject);
        assert_eq!(redeem(claims, user, credential).await, outcome, "{what}");
        assert_eq!(shown().await, expected, "{what}");
    }
    // The person who decides on her request sees the same.
    let list = ListJoinRequestsRequest { parent: chemistry.clone(), ..Default::default() };
    let waiting = school.teacher.clone().join_requests.list_join_requests(list).await.unwrap().into_inner().join_requests;
    let waits: Vec<[&str; 2]> = waiting.iter().map(|one| [one.display_name.as_str(), &one.email]).collect();
    assert_eq!(waits, [["Annabel", "bel@x.org"]]);
    // A field that an administrator sets stays, and the others continue to be updated.
    let update = UpdateOrganizationMemberRequest {
        member: Some(Member { name: format!("{}/members/ann", school.organization), display_name: "Ann B.".to_owned(), ..Default::default() }),
        ..Default::default()
    };
    school.admin.clone().members.update_organization_member(update).await.unwrap();
    redeem(LMS, Some(told("Annabel C.", "c@x.org", "")), &code).await;
    assert_eq!(shown().await, ["Ann B.", "c@x.org", "s-2"]);
    assert_audited(homeroom).await;
}
}
