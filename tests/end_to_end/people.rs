//! Data on a person in every kind of request: one table of values, and the same rule for each in
//! every place. A name decides nothing and is cleaned. An id or an address decides and is stored
//! exactly; it is ignored if only a token states it, and otherwise refused with the field's name.

use crate::assert_audited;
use homeroom_api::{
    common::v1::{ErrorReason, Role, User},
    invitations::v1::{
        BatchRedeemRequest, CreateTokenRequest, EnrollmentCode, PreviewRedemptionRequest,
        RedeemRequest, RedemptionOutcome, Token, batch_redeem_response::result::Outcome,
    },
    membership::v1::{
        AddOrganizationMemberRequest, AdmitRequest, Class, CreateClassRequest,
        CreateOrganizationRequest, DenyJoinRequestRequest, GetOrganizationMemberRequest, Member,
        Organization, UpdateClassRequest, UpdateOrganizationMemberRequest,
        UpdateOrganizationRequest, admission, admit_request, member::provenance::Method,
    },
};
use homeroom_tests::{
    Claims, Homeroom, School, field_mask, member, on_both_engines, reason, status_reason,
    timestamp, violated_fields,
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
    email: &'static str,
    /// The field of `User` that is refused if a caller sends it.
    refused: Option<(&'static str, ErrorReason)>,
}

const fn named(name: &'static str, kept_name: &'static str) -> Said {
    Said {
        name,
        kept_name,
        external_id: "",
        email: "",
        refused: None,
    }
}

const fn id(external_id: &'static str, refused: bool) -> Said {
    Said {
        external_id,
        refused: if refused {
            Some(("external_id", ErrorReason::InvalidRequest))
        } else {
            None
        },
        ..named("", "")
    }
}

const fn email(email: &'static str) -> Said {
    Said {
        email,
        refused: Some(("email", ErrorReason::EmailMalformed)),
        ..named("", "")
    }
}

const TABLE: [Said; 16] = [
    named("Ada Lovelace", "Ada Lovelace"),
    // The marks are right-to-left marks around a Hebrew name, an Arabic letter mark, embeddings,
    // overrides, isolates.
    named("\u{200f}נועם לוי\u{200f}", "נועם לוי"),
    named("\u{61c}ليلى\u{200e}", "ليلى"),
    named("\u{202b}دانا\u{202c}", "دانا"),
    named("\u{202e}adA\u{202d}", "adA"),
    named("\u{2066}Ada\u{2067} \u{2068}L\u{2069}", "Ada L"),
    named("\u{202a}\u{200f}", ""),
    // Characters that are part of the spelling stay: a joiner, a combining mark.
    named("می\u{200c}خواهم", "می\u{200c}خواهم"),
    named("Ada\nLovelace\u{0}\u{7f}", "Ada Lovelace"),
    id("S-4711", false),
    id("מזהה", false),
    id("\u{200f}4711", true),
    id("47\u{0}11", true),
    id("47\n11", true),
    email("ada..l@school.example"),
    email("\u{202e}ada@school.example"),
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

/// Checks that the roster shows the cleaned name, and the id and the address if they are valid.
async fn assert_kept(school: &School, user: &str, said: Said) {
    let member = on_roster(school, user).await;
    let kept = |text: &str, field| match said.refused {
        Some((refused, _)) if refused == field => String::new(),
        _ => text.to_owned(),
    };
    assert_eq!(member.display_name, said.kept_name, "{said:?}");
    assert_eq!(
        member.external_id,
        kept(said.external_id, "external_id"),
        "{said:?}"
    );
    assert_eq!(member.email, kept(said.email, "email"), "{said:?}");
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
async fn p1_what_is_said_of_a_person_is_kept_alike_through_every_door(homeroom) {
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

        // a platform's request gets the name of a field that it can correct, alone, in a batch and
        // in a preview,
        let lms = homeroom.user_with(LMS);
        let [field, row_field, batch, preview] = ["field", "row", "batch", "preview"].map(|door| format!("{door}-{row}"));
        let request = |id: &str| RedeemRequest { credential: code.clone(), user: Some(user(id, said)), ..Default::default() };
        let redeemed = lms.redeem_with(request(&field)).await;
        let beside = RedeemRequest { credential: code.clone(), user: Some(user(&row_field, named("Bob", "Bob"))), ..Default::default() };
        let rows = BatchRedeemRequest { requests: vec![beside, request(&batch)] };
        let mut rows = lms.clone().redemptions.batch_redeem(rows).await.unwrap().into_inner().results;
        let second = rows.pop().unwrap().outcome.unwrap();
        assert!(matches!(rows.pop().unwrap().outcome, Some(Outcome::Redemption(_))), "a row spoils no other");
        let previewed = lms.clone().redemptions.preview_redemption(PreviewRedemptionRequest { credential: code.clone(), user: Some(user(&preview, said)), ..Default::default() }).await;
        match said.refused {
            None => {
                redeemed.unwrap();
                assert_kept(&school, &field, said).await;
                assert!(matches!(second, Outcome::Redemption(_)), "{said:?}");
                assert_kept(&school, &batch, said).await;
                assert_eq!(previewed.unwrap().into_inner().outcome(), RedemptionOutcome::Admitted);
            }
            Some((name, reason)) => {
                let path = format!("user.{name}");
                assert_refused(&redeemed.unwrap_err(), &path, reason);
                let Outcome::Status(second) = second else { panic!("{said:?}") };
                assert_eq!(status_reason(&second), reason.as_str_name());
                assert_refused(&previewed.unwrap_err(), &path, reason);
            }
        }

        // and so does a staff call,
        let added = format!("added-{row}");
        let new = Member { display_name: said.name.to_owned(), email: said.email.to_owned(), external_id: said.external_id.to_owned(), ..member(&added, Role::Student) };
        let request = AddOrganizationMemberRequest { parent: school.organization.clone(), member: Some(new.clone()), ..Default::default() };
        match (school.admin.clone().members.add_organization_member(request).await, said.refused) {
            (Ok(_), None) => assert_kept(&school, &added, said).await,
            (Err(status), Some((name, reason))) => assert_refused(&status, &format!("member.{name}"), reason),
            (answer, _) => panic!("{said:?}: {answer:?}"),
        }

        // a change of a member, and a token for one person,
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
        let token = Token { display_name: said.name.to_owned(), external_id: said.external_id.to_owned(), assigned_email: said.email.to_owned(), ..Default::default() };
        let request = CreateTokenRequest { parent: school.class.clone(), token: Some(token), ..Default::default() };
        match (school.teacher.clone().tokens.create_token(request).await, said.refused) {
            (Ok(token), None) => {
                let token = token.into_inner();
                assert_eq!((token.display_name.as_str(), token.external_id.as_str()), (said.kept_name, said.external_id));
            }
            (Err(status), Some(("email", reason))) => assert_refused(&status, "token.assigned_email", reason),
            (Err(status), Some((name, reason))) => assert_refused(&status, &format!("token.{name}"), reason),
            (answer, _) => panic!("{said:?}: {answer:?}"),
        }

        // and membership's own port refuses nothing except an id that it cannot store, permanently.
        let asked = format!("asked-{row}");
        let answer = admitted_at_the_port(homeroom, &school, user(&asked, said)).await;
        if matches!(said.refused, Some(("external_id", _))) {
            assert_eq!(answer, (admission::Outcome::Refused, ErrorReason::InvalidRequest), "{said:?}");
        } else {
            assert_eq!(answer, (admission::Outcome::Admitted, ErrorReason::Unspecified), "{said:?}");
            assert_kept(&school, &asked, said).await;
        }
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
async fn a8_an_id_that_cannot_be_kept_is_compared_exactly_as_it_is_claimed(homeroom) {
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
