//! The particulars of a person, through every method: one table of values, with the same rule for each at every method.
//! A name decides nothing and is cleaned. An id or an address decides only if an invitation asks for it: elsewhere one
//! that cannot be stored is left out, and staff who enter it get an error.

use homeroom_api::{
    common::v1::ErrorReason,
    invitations::v1::{EnrollmentCode, Token},
    membership::v1::Member,
};
use homeroom_tests::{Claims, Homeroom, School, on_both_engines, reason, violated_fields};
use serde_json::{Value, json};
use tonic::Status;

use crate::assert_audited;

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
    id(
        concat!(fifty!(), fifty!(), fifty!(), fifty!(), fifty!(), fifty!()),
        "",
    ),
    email("Ada@School.example", "ada@school.example"),
    email(" ada@school.example\n", "ada@school.example"),
    email("ada@SCHÜLE.example", "ada@xn--schle-mva.example"),
    email("ada..l@school.example", ""),
    email("müller@school.example", ""),
    email("ada@school", ""),
    email("\u{202e}ada@school.example", ""),
];

/// Returns a person, as a platform or staff say.
fn told(id: &str, said: Said) -> Value {
    json!({"user": id, "display_name": said.name, "email": said.email, "external_id": said.external_id})
}

async fn on_roster(school: &School, user: &str) -> [String; 3] {
    let name = json!({"name": format!("{}/members/{user}", school.organization)});
    let member = school
        .admin
        .ask("MemberService.GetOrganizationMember", name);
    let member: Member = member.await;
    [member.display_name, member.external_id, member.email]
}

/// Checks that the roster shows what can be stored, in its stored form.
async fn assert_kept(school: &School, user: &str, said: Said) {
    let kept = [said.kept_name, said.kept_id, said.kept_email];
    assert_eq!(on_roster(school, user).await, kept, "{said:?}");
}

fn assert_refused(status: &Status, field: &str, reason_wanted: ErrorReason) {
    assert_eq!(reason(status), reason_wanted.as_str_name(), "{field}");
    assert_eq!(violated_fields(status), [field]);
}

/// Checks that what staff entered of a person was taken, unless it names a field that cannot be
/// kept. Returns the answer.
fn taken(said: Said, answer: Result<Value, Status>, parent: &str) -> Option<Value> {
    match (answer, said.refused) {
        (Ok(answer), None) => return Some(answer),
        (Err(status), Some(("email", reason))) if parent == "token" => {
            assert_refused(&status, "token.assigned_email", reason);
        }
        (Err(status), Some((name, reason))) => {
            assert_refused(&status, &format!("{parent}.{name}"), reason);
        }
        (answer, _) => panic!("{said:?}: {answer:?}"),
    }
    None
}

on_both_engines! {
async fn p1_u6_what_is_said_of_a_person_is_kept_alike_through_every_door(homeroom) {
    // Given a class, and the same data on one person after another,
    let school = homeroom.school().await;
    let code = school.class_code().await.code;
    let lms = homeroom.user_with(LMS);
    let port = homeroom.user_with(Claims { scopes: &["homeroom.admit"], ..Claims::of("invitations") });
    for (row, said) in TABLE.into_iter().enumerate() {
        // a person's own token admits them, whatever its claims say,
        let [own, field, batch, preview, added, asked] = ["own", "field", "batch", "preview", "added", "asked"].map(|door| format!("{door}-{row}"));
        let claims = Claims { name: said.name, external_id: said.external_id, email: said.email, ..Claims::of(&own) };
        let redeemed = homeroom.user_with(claims).done("RedemptionService.Redeem", json!({"credential": code})).await;
        assert_eq!(redeemed["outcome"], "ADMITTED", "{said:?}");
        assert_kept(&school, &own, said).await;

        // and so do a platform's words, alone, in a batch and in a preview;
        let request = |user: Value| json!({"credential": code, "user": user});
        lms.done("RedemptionService.Redeem", request(told(&field, said))).await;
        assert_kept(&school, &field, said).await;
        let beside = request(told(&format!("row-{row}"), named("Bob", "Bob")));
        let rows = lms.done("RedemptionService.BatchRedeem", json!({"requests": [beside, request(told(&batch, said))]})).await;
        assert!(rows["results"].as_array().unwrap().iter().all(|row| row["redemption"].is_object()), "{said:?}");
        assert_kept(&school, &batch, said).await;
        let previewed = lms.done("RedemptionService.PreviewRedemption", request(told(&preview, said))).await;
        assert_eq!(previewed["outcome"], "ADMITTED");

        // a staff call names what cannot be kept,
        let mut new = told(&added, said);
        new["role"] = json!("STUDENT");
        let add = json!({"parent": school.organization, "member": new});
        let answer = school.admin.call("MemberService.AddOrganizationMember", &add).await;
        if taken(said, answer, "member").is_some() {
            assert_kept(&school, &added, said).await;
        }
        // as do a change of a member and a token for one person;
        new["name"] = json!(format!("{}/members/own-0", school.organization));
        let update = json!({"member": new, "update_mask": "displayName,email,externalId"});
        let answer = school.admin.call("MemberService.UpdateOrganizationMember", &update).await;
        if taken(said, answer, "member").is_some() {
            assert_kept(&school, "own-0", said).await;
        }
        // A label is bounded where a person's name is cut.
        let label = if said.name.len() > 200 { said.kept_name } else { said.name };
        let token = json!({"parent": school.class, "token": {"display_name": label, "external_id": said.external_id, "assigned_email": said.email}});
        let answer = school.teacher.call("TokenService.CreateToken", &token).await;
        if let Some(token) = taken(said, answer, "token") {
            let text = |field: &str| token[field].as_str().unwrap_or_default().to_owned();
            assert_eq!([text("displayName"), text("externalId"), text("assignedEmail")], [said.kept_name, said.kept_id, said.kept_email]);
        }

        // and membership's own port, as the invitations service calls it, refuses nothing of it; its answer is stored (P1).
        let admit = json!({
            "redemption": format!("{}/redemptions/{}", school.organization, homeroom.new_id()), "invitation": format!("{}/classCode", school.class),
            "parent": school.class, "user": told(&asked, said), "route": "ADMIT_AT_ONCE", "method": "CLASS_CODE",
            "invitation_issue_time": homeroom.now().to_rfc3339(),
        });
        for _ in 0..2 {
            let answer = port.done("AdmissionService.Admit", admit.clone()).await;
            assert_eq!((&answer["admission"]["outcome"], &answer["admission"]["refuseReason"]), (&json!("ADMITTED"), &Value::Null), "{said:?}");
        }
        assert_kept(&school, &asked, said).await;
    }
}
}

on_both_engines! {
async fn input_names_and_notes_are_cleaned_wherever_they_are_kept(homeroom) {
    let school = homeroom.school().await;
    let turned = "\u{202e}Class\u{0} 1";
    let cleaned = async |caller: &homeroom_tests::Clients, method: &str, body: Value| {
        let answer = caller.done(method, body).await;
        assert_eq!(answer["displayName"], "Class 1", "{method}");
        json!({"name": answer["name"], "display_name": turned})
    };
    let new = json!({"organization_id": "jefferson", "organization": {"display_name": turned}, "admin": "admin"});
    let made = cleaned(&school.platform, "OrganizationService.CreateOrganization", new).await;
    cleaned(&school.admin, "OrganizationService.UpdateOrganization", json!({"organization": made})).await;
    let new = json!({"parent": school.organization, "class": {"display_name": turned}});
    let made = cleaned(&school.teacher, "ClassService.CreateClass", new).await;
    cleaned(&school.teacher, "ClassService.UpdateClass", json!({"class": made})).await;
    let new = json!({"parent": school.class, "enrollment_code": {"code": "BIO101", "display_name": turned}, "acknowledge_weak": true});
    cleaned(&school.teacher, "EnrollmentCodeService.CreateEnrollmentCode", new).await;
    let request = homeroom.queued("eve", &school.join_url().await.url).await;
    let deny = json!({"name": request.name, "decide_note": "Ask\n\u{2066}again\u{7}"});
    let denied = school.teacher.done("JoinRequestService.DenyJoinRequest", deny).await;
    assert_eq!(denied["joinRequest"]["decideNote"], "Ask\nagain");
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
    assert_eq!(on_roster(&school, "noam").await, ["נועם", "4711", ""]);
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

/// Redeems with these particulars: by the person's own token, or by a platform that vouches.
async fn redeem(
    homeroom: &Homeroom,
    own: bool,
    claims: Claims<'_>,
    credential: &str,
) -> Result<Value, Status> {
    let (caller, mut request) = if own {
        (claims, json!({}))
    } else {
        (
            LMS,
            json!({"user": {"user": claims.subject, "email": claims.email, "email_verified": claims.email_verified, "external_id": claims.external_id}}),
        )
    };
    request["credential"] = json!(credential);
    homeroom
        .call(caller, "RedemptionService.Redeem", &request)
        .await
}

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
    let redeem = async |own: bool, user: &str, email: &str, credential: &str| {
        redeem(homeroom, own, Claims { email, email_verified: true, ..Claims::of(user) }, credential).await
    };
    // Blanks around an address are no part of it, and capitals make no difference.
    for (row, email) in [" ada@hamiltonschools.org", "ada@hamiltonschools.org\u{a0}", "\u{200b}Ada@HamiltonSchools.ORG"].into_iter().enumerate() {
        for own in [true, false] {
            for (way, credential) in asking.iter().enumerate() {
                let redeemed = redeem(own, &format!("right-{row}-{own}-{way}"), email, credential).await;
                assert_eq!(redeemed.unwrap()["outcome"], "ADMITTED", "{email:?}");
            }
        }
    }
    // When a person's own token or a platform that vouches has an irregular one,
    for (row, email) in IRREGULAR.into_iter().enumerate() {
        for own in [true, false] {
            // then whatever asks for no address lets them in, or to the queue,
            for (way, credential) in open.iter().enumerate() {
                let redeemed = redeem(own, &format!("in-{row}-{own}-{way}"), email, credential).await;
                assert!(redeemed.is_ok(), "{email} {credential}: {redeemed:?}");
            }
            // and the rest says what is wrong.
            for credential in &asking {
                let refused = redeem(own, &format!("out-{row}-{own}"), email, credential).await;
                assert_refused(&refused.unwrap_err(), "user.email", ErrorReason::EmailMalformed);
            }
        }
    }
    // The refused person is listed among the refused attempts.
    let list = json!({"parent": school.organization, "filter": "reason = EMAIL_MALFORMED"});
    homeroom.eventually("the attempts are logged", async || {
        let listed = school.admin.done("RedemptionService.ListRefusedAttempts", list.clone()).await;
        listed["refusedAttempts"].is_array()
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
            for own in [true, false] {
                let user = format!("{own}-{row}-{column}");
                let redeemed = redeem(homeroom, own, Claims { external_id: claimed, ..Claims::of(&user) }, &token.phrase).await;
                assert_eq!(redeemed.unwrap()["outcome"], "ADMITTED", "{typed:?} {claimed:?}");
            }
        }
        // A change keeps it alike,
        let updated = school.teacher.done("TokenService.UpdateToken", json!({"token": {"name": token.name, "external_id": typed}})).await;
        assert_eq!(updated["etag"], token.etag, "{typed:?} is what it was");
        // and lists find it, on both sides.
        let filter = format!("external_id = \"{typed}\"");
        let tokens = school.teacher.done("TokenService.ListTokens", json!({"parent": school.class, "filter": filter})).await;
        assert_eq!(tokens["tokens"].as_array().unwrap().len(), row + 1, "{typed:?}");
        let members = json!({"parent": school.organization, "filter": filter, "page_size": 1_000});
        let members = school.admin.done("MemberService.ListOrganizationMembers", members).await;
        assert_eq!(members["members"].as_array().unwrap().len(), (row + 1) * spellings.len() * 2, "{typed:?}");
    }
    // A blank within an id is part of it.
    let token = school.token(Token { external_id: "S 1".to_owned(), ..Default::default() }).await;
    let refused = redeem(homeroom, true, Claims { external_id: "S-1", ..Claims::of("eve") }, &token.phrase).await;
    assert_eq!(reason(&refused.unwrap_err()), "TOKEN_ASSIGNED_TO_ANOTHER");
}
}

on_both_engines! {
async fn u14_the_roster_follows_what_later_redemptions_say(homeroom) {
    let school = homeroom.school().await;
    let code = school.class_code().await.code;
    let chemistry = school.of_class(school.another_class("chemistry").await);
    let url = chemistry.join_url().await.url;
    let told = |name: &str, email: &str, external_id: &str| json!({"user": "ann", "display_name": name, "email": email, "external_id": external_id});
    let acts = Claims { scopes: &["homeroom.act_as"], ..Claims::of("portal") };
    let redeem = async |claims: Claims<'_>, user: Value, credential: &str| {
        let request = json!({"credential": credential, "user": user});
        let redeemed = homeroom.user_with(claims).done("RedemptionService.Redeem", request).await;
        homeroom.settled().await;
        redeemed["outcome"].clone()
    };
    // Given Ann, who joined by her platform,
    redeem(LMS, told("Ann", "ann@x.org", "s-1"), &code).await;
    assert_eq!(on_roster(&school, "ann").await, ["Ann", "s-1", "ann@x.org"]);
    let own = Claims { name: "Anna", email: "Anna@x.org", ..Claims::of("ann") };
    for (claims, user, credential, outcome, expected) in [
        // whoever does not vouch changes nothing, nor does she by what she calls herself,
        (acts, told("Teacher", "t@x.org", "t-1"), &code, "ALREADY_MEMBER", ["Ann", "s-1", "ann@x.org"]),
        (Claims::of("ann"), told("Teacher", "t@x.org", "t-1"), &code, "ALREADY_MEMBER", ["Ann", "s-1", "ann@x.org"]),
        // but her own token does, and so does her platform, whatever the redemption leads to.
        (own, Value::Null, &code, "ALREADY_MEMBER", ["Anna", "s-1", "anna@x.org"]),
        (LMS, told("Annabel", "", "s-2"), &url, "PENDING_APPROVAL", ["Annabel", "s-2", "anna@x.org"]),
        (LMS, told("", "bel@x.org", ""), &url, "PENDING_APPROVAL", ["Annabel", "s-2", "bel@x.org"]),
    ] {
        let what = format!("{:?} {user:?}", claims.subject);
        assert_eq!(redeem(claims, user, credential).await, outcome, "{what}");
        assert_eq!(on_roster(&school, "ann").await, expected, "{what}");
    }
    // The person who decides on her request sees the same.
    let waiting = school.teacher.done("JoinRequestService.ListJoinRequests", json!({"parent": chemistry.class})).await;
    let [waits] = waiting["joinRequests"].as_array().unwrap().as_slice() else { panic!("{waiting}") };
    assert_eq!([&waits["displayName"], &waits["email"]], ["Annabel", "bel@x.org"]);
    // A field that an administrator sets stays, and the others continue to be updated.
    let ann = json!({"name": format!("{}/members/ann", school.organization), "display_name": "Ann B."});
    school.admin.done("MemberService.UpdateOrganizationMember", json!({"member": ann})).await;
    // An update reads only the fields that its mask names.
    let ann = json!({"name": format!("{}/members/ann", school.organization), "role": "STUDENT", "email": "none"});
    school.admin.done("MemberService.UpdateOrganizationMember", json!({"member": ann, "update_mask": "role"})).await;
    redeem(LMS, told("Annabel C.", "c@x.org", ""), &code).await;
    assert_eq!(on_roster(&school, "ann").await, ["Ann B.", "s-2", "c@x.org"]);
    assert_audited(homeroom).await;
}
}
