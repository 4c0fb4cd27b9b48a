//! Enrollment codes (B1 to B16).

use chrono::TimeDelta;
use homeroom_api::invitations::v1::{
    EnrollmentCode, RedeemRequest, RedemptionOutcome, enrollment_code,
};
use homeroom_tests::{Claims, Homeroom, on_both_engines, reason, timestamp};
use serde_json::json;

use crate::{code, update};

const CREATE: &str = "EnrollmentCodeService.CreateEnrollmentCode";
const UPDATE: &str = "EnrollmentCodeService.UpdateEnrollmentCode";

async fn admitted(homeroom: &Homeroom, user: &str, credential: &str) {
    let redeemed = homeroom.user(user).redeem(credential).await.unwrap();
    assert_eq!(
        redeemed.outcome(),
        RedemptionOutcome::Admitted,
        "{user} by {credential}"
    );
}

on_both_engines! {
async fn b1_b2_b3_b7_codes_enrol_at_once_into_a_class_or_the_organization_and_are_listed_under_it(homeroom) {
    let school = homeroom.school().await;
    let first = school.enrollment_code(code("BIO101")).await;
    homeroom.advance(TimeDelta::milliseconds(1));
    let second = school.enrollment_code(code("BIO102")).await;
    let wide = school.try_enrollment_code(&school.organization, code("Welcome 2026")).await.unwrap();

    admitted(homeroom, "student-1", &first.full_code).await;
    admitted(homeroom, "student-2", &second.full_code).await;
    admitted(homeroom, "student-3", &wide.full_code).await;
    let roster = school.roster().await;
    assert!(roster.contains(&"student-1".to_owned()) && roster.contains(&"student-2".to_owned()) && !roster.contains(&"student-3".to_owned()));
    assert_eq!(school.students().await.len(), 3);

    for (caller, parent, expected) in [(&school.co_teacher, &school.class, vec![&second.name, &first.name]), (&school.admin, &school.organization, vec![&wide.name])] {
        let listed = caller.done("EnrollmentCodeService.ListEnrollmentCodes", json!({"parent": parent})).await;
        let names: Vec<_> = listed["enrollmentCodes"].as_array().unwrap().iter().map(|code| &code["name"]).collect();
        assert_eq!(names, expected);
    }
}
}

on_both_engines! {
async fn b4_a_code_is_unique_in_its_organization_and_handed_out_with_the_prefix(homeroom) {
    let school = homeroom.school().await;
    let other = homeroom.school_named("jefferson", 0).await;
    let bio = school.enrollment_code(code("BIO-101")).await;
    assert_eq!(bio.full_code, "HAMILTON-BIO-101");

    // A code that becomes equal to another is taken; another organization may use the same word.
    for same in ["bio101", "B I O 1 0 1", "Bio-101"] {
        let refused = school.try_enrollment_code(&school.organization, code(same)).await.unwrap_err();
        assert_eq!(reason(&refused), "CODE_TAKEN", "{same}");
    }
    let theirs = other.enrollment_code(code("BIO101")).await;
    assert_eq!(theirs.full_code, "JEFFERSON-BIO101");

    // The look-up uses the whole canonical string and ignores case, spaces and hyphens.
    admitted(homeroom, "student-1", "hamilton bio 101").await;
    admitted(homeroom, "student-2", "HamiltonBIO101").await;
    // The bare code works only if the request names the organization.
    assert_eq!(homeroom.refusal("student-3", "BIO101").await, "CODE_NOT_USABLE");
    let named = homeroom.user("student-3").redeem_with(RedeemRequest {
        credential: "bio101".to_owned(),
        organization: other.organization.clone(),
        ..Default::default()
    }).await.unwrap();
    assert_eq!(named.class, other.class);

    // The prefix is fixed once set, and unique.
    let organization = school.admin.done("OrganizationService.GetOrganization", json!({"name": school.organization})).await;
    assert_eq!(organization["codePrefix"], "HAMILTON");
    let changed = json!({"organization": {"name": school.organization, "code_prefix": "HAM"}, "update_mask": "codePrefix"});
    assert_eq!(school.admin.refused("OrganizationService.UpdateOrganization", changed).await, "INVALID_REQUEST");
}
}

on_both_engines! {
async fn b5_b16_a_code_works_from_its_first_moment_inclusive_to_its_last_exclusive(homeroom) {
    let school = homeroom.school().await;
    let from = homeroom.now() + TimeDelta::hours(1);
    let till = from + TimeDelta::hours(1);
    let bio = school.enrollment_code(EnrollmentCode {
        valid_from_time: Some(timestamp(from)),
        valid_till_time: Some(timestamp(till)),
        ..code("BIO101")
    }).await;
    assert_eq!(bio.state(), enrollment_code::State::NotYetValid);
    homeroom.set(from - TimeDelta::microseconds(1));
    assert_eq!(homeroom.refusal("student-1", &bio.full_code).await, "NOT_YET_VALID");
    homeroom.set(from);
    admitted(homeroom, "student-1", &bio.full_code).await;
    homeroom.set(till - TimeDelta::microseconds(1));
    admitted(homeroom, "student-2", &bio.full_code).await;
    homeroom.set(till);
    assert_eq!(homeroom.refusal("student-3", &bio.full_code).await, "NO_LONGER_VALID");
    // Both dates are optional, and must be in order.
    let refused = school.try_enrollment_code(&school.class, EnrollmentCode {
        valid_from_time: Some(timestamp(till)),
        valid_till_time: Some(timestamp(from)),
        ..code("BIO102")
    }).await.unwrap_err();
    assert_eq!(reason(&refused), "INVALID_REQUEST");
    let changed = json!({"name": bio.name, "valid_till_time": from.to_rfc3339()});
    assert_eq!(school.admin.refused(UPDATE, json!({"enrollment_code": changed})).await, "INVALID_REQUEST");
}
}

on_both_engines! {
async fn b6_only_verified_addresses_in_the_listed_domains_get_in(homeroom) {
    let school = homeroom.school().await;
    let bio = school.enrollment_code(EnrollmentCode {
        email_domains: vec!["hamiltonschools.org".to_owned(), "*.hamilton.example".to_owned()],
        ..code("BIO101")
    }).await;
    let attempt = async |user: &'static str, email: &'static str, email_verified: bool| {
        homeroom.user_with(Claims { email, email_verified, ..Claims::of(user) }).redeem(&bio.full_code).await
            .map(|redeemed| redeemed.outcome().as_str_name()).map_err(|status| reason(&status))
    };
    assert_eq!(attempt("student-1", "a@HamiltonSchools.org", true).await, Ok("ADMITTED"));
    assert_eq!(attempt("student-2", "a@pupils.hamilton.example", true).await, Ok("ADMITTED"));
    assert_eq!(attempt("student-3", "a@hamiltonschools.org", false).await, Err("EMAIL_UNVERIFIED".to_owned()));
    for (user, email) in [
        ("student-4", "a@evilhamiltonschools.org"),
        ("student-5", "a@mail.hamiltonschools.org"),
        ("student-6", "a@hamilton.example"),
        ("student-7", "a@hamiltonschools.org.example.net"),
    ] {
        assert_eq!(attempt(user, email, true).await, Err("EMAIL_DOMAIN_NOT_ALLOWED".to_owned()), "{email}");
    }
    for broad in ["org", "*.co.uk", "gmail.com"] {
        let refused = school.try_enrollment_code(&school.class, EnrollmentCode { email_domains: vec![broad.to_owned()], ..code("BIO102") }).await.unwrap_err();
        assert_eq!(reason(&refused), "DOMAIN_TOO_BROAD", "{broad}");
    }
    // The platform answers for a domain in which only pupils have addresses; nobody else does.
    let broad = json!({"parent": school.class, "enrollment_code": {"code": "BIO103", "email_domains": ["glow.sch.uk"]}, "acknowledge_broad_domain": true, "acknowledge_weak": true});
    assert_eq!(school.admin.refused(CREATE, broad.clone()).await, "SCOPE_MISSING");
    let scopes = &["homeroom.act_as", "homeroom.platform"];
    let platform = homeroom.user_with(Claims { scopes, acting_user: "admin", ..Claims::of("platform") });
    // Such a domain does not keep the strangers out who guess the code.
    let mut weak = broad.clone();
    weak["acknowledge_weak"] = json!(false);
    assert_eq!(platform.refused(CREATE, weak).await, "WEAK_CODE");
    let made = platform.done(CREATE, broad).await;
    assert_eq!(made["emailDomains"], json!(["glow.sch.uk"]));
    let code = made["fullCode"].as_str().unwrap();
    let pupil = homeroom.user_with(Claims { email: "mia@glow.sch.uk", email_verified: true, ..Claims::of("mia") });
    assert_eq!(pupil.redeem(code).await.unwrap().outcome().as_str_name(), "ADMITTED");
    let wider = json!({"enrollment_code": {"name": made["name"], "email_domains": ["*.sch.uk"]}, "acknowledge_broad_domain": true});
    assert_eq!(school.admin.refused(UPDATE, wider).await, "SCOPE_MISSING");
}
}

on_both_engines! {
async fn b8_b9_a_switch_turns_a_code_off_and_on_and_does_not_override_its_dates(homeroom) {
    let school = homeroom.school().await;
    let till = homeroom.now() + TimeDelta::hours(1);
    let bio = school.enrollment_code(EnrollmentCode { valid_till_time: Some(timestamp(till)), ..code("BIO101") }).await;
    let off = update(homeroom, EnrollmentCode { name: bio.name.clone(), enabled: Some(false), ..Default::default() }, &["enabled"]).await;
    assert_eq!(off.state(), enrollment_code::State::Disabled);
    assert_eq!(homeroom.refusal("student-1", &bio.full_code).await, "CODE_NOT_USABLE");
    let on = update(homeroom, EnrollmentCode { name: bio.name.clone(), enabled: Some(true), ..Default::default() }, &["enabled"]).await;
    assert_eq!(on.state(), enrollment_code::State::Active);
    admitted(homeroom, "student-1", &bio.full_code).await;
    homeroom.set(till);
    assert_eq!(homeroom.refusal("student-2", &bio.full_code).await, "NO_LONGER_VALID");
}
}

on_both_engines! {
async fn b10_x8_a_code_is_editable_at_any_time(homeroom) {
    let school = homeroom.school().await;
    let bio = school.enrollment_code(code("BIO101")).await;
    admitted(homeroom, "student-1", &bio.full_code).await;

    // The code itself changes: the old one opens nothing any more.
    let renamed = update(homeroom, EnrollmentCode { name: bio.name.clone(), ..code("BIO202") }, &["code"]).await;
    assert_eq!((renamed.name.as_str(), renamed.full_code.as_str()), (bio.name.as_str(), "HAMILTON-BIO202"));
    assert_eq!(homeroom.refusal("student-2", &bio.full_code).await, "CODE_NOT_USABLE");
    admitted(homeroom, "student-2", &renamed.full_code).await;

    // Dates, domains, uses and label change together; fields outside of the mask stay.
    let edited = update(homeroom, EnrollmentCode {
        name: bio.name.clone(),
        valid_from_time: Some(timestamp(homeroom.now())),
        valid_till_time: Some(timestamp(homeroom.now() + TimeDelta::days(1))),
        email_domains: vec!["hamiltonschools.org".to_owned()],
        max_uses: Some(5),
        display_name: "Autumn".to_owned(),
        allow_rejoin: true,
        ..Default::default()
    }, &["valid_from_time", "valid_till_time", "email_domains", "max_uses", "display_name", "allow_rejoin"]).await;
    assert_eq!((edited.code.as_str(), edited.max_uses, edited.display_name.as_str(), edited.allow_rejoin), ("BIO202", Some(5), "Autumn", true));
    assert_ne!(edited.etag, renamed.etag);

    // A stale etag changes nothing.
    let stale = json!({"name": bio.name, "etag": bio.etag, "display_name": "Spring"});
    assert_eq!(school.admin.refused(UPDATE, json!({"enrollment_code": stale, "update_mask": "displayName"})).await, "ETAG_MISMATCH");
    let read: EnrollmentCode = school.admin.ask("EnrollmentCodeService.GetEnrollmentCode", json!({"name": bio.name})).await;
    assert_eq!(read, edited);
}
}

on_both_engines! {
async fn b11_a_code_is_deletable_and_then_opens_nothing(homeroom) {
    let school = homeroom.school().await;
    let bio = school.enrollment_code(code("BIO101")).await;
    let name = json!({"name": bio.name});
    school.admin.done("EnrollmentCodeService.DeleteEnrollmentCode", name.clone()).await;
    assert_eq!(homeroom.refusal("student-1", &bio.full_code).await, "CODE_NOT_USABLE");
    assert_eq!(school.admin.refused("EnrollmentCodeService.GetEnrollmentCode", name).await, "CODE_NOT_FOUND");
    // The word of the deleted code is free again.
    school.enrollment_code(code("BIO101")).await;
}
}

on_both_engines! {
async fn b11_a_deleted_class_frees_the_words_of_its_codes(homeroom) {
    // Given a class with a code, and another one with its own,
    let school = homeroom.school().await;
    let bio = school.enrollment_code(code("BIO101")).await;
    let other = school.another_class("chemistry").await;
    let chem = school.try_enrollment_code(&other, code("CHEM202")).await.unwrap();
    let taken = school.try_enrollment_code(&other, code("BIO101")).await.unwrap_err();
    assert_eq!(reason(&taken), "CODE_TAKEN");
    // when the first class is deleted,
    school.admin.done("ClassService.DeleteClass", json!({"name": school.class})).await;
    // then its code's word is free, and the other class's code stays.
    homeroom.eventually("the word is free", async || {
        school.try_enrollment_code(&other, code("BIO101")).await.is_ok()
    })
    .await;
    admitted(homeroom, "student-1", &bio.full_code).await;
    admitted(homeroom, "student-2", &chem.full_code).await;
    let rest = school.try_enrollment_code(&other, code("CHEM202")).await.unwrap_err();
    assert_eq!(reason(&rest), "CODE_TAKEN");
}
}

on_both_engines! {
async fn b12_a_code_entered_later_on_the_profile_is_effective_at_once(homeroom) {
    let school = homeroom.school().await;
    let bio = school.enrollment_code(code("BIO101")).await;
    admitted(homeroom, "student-1", &bio.full_code).await;
    assert!(school.roster().await.contains(&"student-1".to_owned()));
}
}

on_both_engines! {
async fn b13_b14_b15_r7_each_new_student_takes_a_seat_and_a_full_organization_refuses(homeroom) {
    let school = homeroom.school_named("hamilton", 2).await;
    let bio = school.enrollment_code(code("BIO101")).await;
    let wide = school.try_enrollment_code(&school.organization, code("WELCOME")).await.unwrap();
    assert_eq!(school.seats().await.seats_available, Some(2));
    admitted(homeroom, "student-1", &bio.full_code).await;
    admitted(homeroom, "student-2", &wide.full_code).await;
    assert_eq!(homeroom.refusal("student-3", &bio.full_code).await, "NO_SEATS");
    // A person with a seat takes no second one.
    admitted(homeroom, "student-2", &bio.full_code).await;
    let seats = school.seats().await;
    assert_eq!((seats.seat_limit, seats.seats_used, seats.seats_available), (2, 2, Some(0)));

    // Leaving the organization frees the seat, and so does becoming a teacher.
    homeroom.user("student-1").leave(&school.organization, "student-1").await;
    admitted(homeroom, "student-3", &bio.full_code).await;
    let promoted = json!({"name": format!("{}/members/student-2", school.organization), "role": "TEACHER"});
    school.admin.done("MemberService.UpdateOrganizationMember", json!({"member": promoted, "update_mask": "role"})).await;
    assert_eq!(school.seats().await.seats_available, Some(1));

    // Only the platform sets the license.
    let license = json!({"organization": {"name": school.organization, "seat_limit": 9}, "update_mask": "seatLimit"});
    assert_eq!(school.admin.refused("OrganizationService.UpdateOrganization", license.clone()).await, "SCOPE_MISSING");
    school.platform.done("OrganizationService.UpdateOrganization", license).await;
    assert_eq!(school.seats().await.seats_available, Some(8));
}
}

on_both_engines! {
async fn b4_weak_codes_are_acknowledged_or_guarded_by_a_domain(homeroom) {
    let school = homeroom.school().await;
    let create = "EnrollmentCodeService.CreateEnrollmentCode";
    let new = |code: &str, domains: &[&str]| json!({"parent": school.class, "enrollment_code": {"code": code, "email_domains": domains}});
    assert_eq!(school.teacher.refused(create, new("BIO101", &[])).await, "WEAK_CODE");
    let guarded: EnrollmentCode = school.teacher.ask(create, new("BIO101", &["hamiltonschools.org"])).await;
    assert!(guarded.strength_bits < 50);
    // Without the domain it is weak again.
    let unguarded = json!({"enrollment_code": {"name": guarded.name}, "update_mask": "emailDomains"});
    assert_eq!(school.teacher.refused(UPDATE, unguarded).await, "WEAK_CODE");
    let strong: EnrollmentCode = school.teacher.ask(create, new("K7Q2M9X4TB6WZP3", &[])).await;
    assert!(strong.strength_bits >= 50);
}
}

on_both_engines! {
async fn b10_max_uses_are_counted_and_can_be_raised(homeroom) {
    let school = homeroom.school().await;
    let bio = school.enrollment_code(EnrollmentCode { max_uses: Some(1), ..code("BIO101") }).await;
    admitted(homeroom, "student-1", &bio.full_code).await;
    assert_eq!(homeroom.refusal("student-2", &bio.full_code).await, "USED_UP");
    update(homeroom, EnrollmentCode { name: bio.name.clone(), max_uses: Some(2), ..Default::default() }, &["max_uses"]).await;
    admitted(homeroom, "student-2", &bio.full_code).await;
}
}
