//! Enrollment codes (B1 to B16).

use chrono::TimeDelta;
use homeroom_api::{
    common::v1::Role,
    invitations::v1::{
        CreateEnrollmentCodeRequest, DeleteEnrollmentCodeRequest, EnrollmentCode,
        GetEnrollmentCodeRequest, ListEnrollmentCodesRequest, RedeemRequest, RedemptionOutcome,
        UpdateEnrollmentCodeRequest, enrollment_code,
    },
    membership::v1::{
        DeleteClassRequest, GetOrganizationRequest, Organization, RemoveOrganizationMemberRequest,
        UpdateOrganizationMemberRequest, UpdateOrganizationRequest,
    },
};
use homeroom_tests::{Claims, Homeroom, field_mask, member, on_both_engines, reason, timestamp};

use crate::{code, update};

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

    let mut co_teacher = school.co_teacher.clone();
    let listed = co_teacher.enrollment_codes.list_enrollment_codes(ListEnrollmentCodesRequest { parent: school.class.clone(), ..Default::default() })
        .await.unwrap().into_inner().enrollment_codes;
    assert_eq!(listed.iter().map(|code| code.code.as_str()).collect::<Vec<_>>(), ["BIO102", "BIO101"]);
    let mut admin = school.admin.clone();
    let listed = admin.enrollment_codes.list_enrollment_codes(ListEnrollmentCodesRequest { parent: school.organization.clone(), ..Default::default() })
        .await.unwrap().into_inner().enrollment_codes;
    assert_eq!(listed.iter().map(|code| code.name.as_str()).collect::<Vec<_>>(), [wide.name.as_str()]);
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
    let mut admin = school.admin.clone();
    let organization = admin.organizations.get_organization(GetOrganizationRequest { name: school.organization.clone() }).await.unwrap().into_inner();
    assert_eq!(organization.code_prefix, "HAMILTON");
    let refused = admin.organizations.update_organization(UpdateOrganizationRequest {
        organization: Some(Organization { code_prefix: "HAM".to_owned(), ..organization }),
        update_mask: field_mask(&["code_prefix"]),
        ..Default::default()
    }).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::InvalidArgument);
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
    let request = UpdateEnrollmentCodeRequest {
        enrollment_code: Some(EnrollmentCode { name: bio.name, valid_till_time: Some(timestamp(from)), ..Default::default() }),
        ..Default::default()
    };
    let refused = homeroom.user("admin").enrollment_codes.update_enrollment_code(request).await.unwrap_err();
    assert_eq!(reason(&refused), "INVALID_REQUEST");
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
    let mut admin = homeroom.user("admin");
    let refused = admin.enrollment_codes.update_enrollment_code(UpdateEnrollmentCodeRequest {
        enrollment_code: Some(EnrollmentCode { name: bio.name.clone(), etag: bio.etag, display_name: "Spring".to_owned(), ..Default::default() }),
        update_mask: field_mask(&["display_name"]),
        ..Default::default()
    }).await.unwrap_err();
    assert_eq!(reason(&refused), "ETAG_MISMATCH");
    let read = admin.enrollment_codes.get_enrollment_code(GetEnrollmentCodeRequest { name: bio.name }).await.unwrap().into_inner();
    assert_eq!(read, edited);
}
}

on_both_engines! {
async fn b11_a_code_is_deletable_and_then_opens_nothing(homeroom) {
    let school = homeroom.school().await;
    let bio = school.enrollment_code(code("BIO101")).await;
    let mut admin = school.admin.clone();
    admin.enrollment_codes.delete_enrollment_code(DeleteEnrollmentCodeRequest { name: bio.name.clone(), ..Default::default() }).await.unwrap();
    assert_eq!(homeroom.refusal("student-1", &bio.full_code).await, "CODE_NOT_USABLE");
    let gone = admin.enrollment_codes.get_enrollment_code(GetEnrollmentCodeRequest { name: bio.name }).await.unwrap_err();
    assert_eq!(reason(&gone), "CODE_NOT_FOUND");
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
    let delete = DeleteClassRequest { name: school.class.clone(), ..Default::default() };
    school.admin.clone().classes.delete_class(delete).await.unwrap();
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
    let mut student = homeroom.user("student-1");
    student.members.remove_organization_member(RemoveOrganizationMemberRequest {
        name: format!("{}/members/student-1", school.organization), ..Default::default()
    }).await.unwrap();
    admitted(homeroom, "student-3", &bio.full_code).await;
    let mut admin = school.admin.clone();
    let mut promoted = member("student-2", Role::Teacher);
    promoted.name = format!("{}/members/student-2", school.organization);
    admin.members.update_organization_member(UpdateOrganizationMemberRequest {
        member: Some(promoted), update_mask: field_mask(&["role"]), ..Default::default()
    }).await.unwrap();
    assert_eq!(school.seats().await.seats_available, Some(1));

    // Only the platform sets the license.
    let license = |limit| UpdateOrganizationRequest {
        organization: Some(Organization { name: school.organization.clone(), seat_limit: limit, ..Default::default() }),
        update_mask: field_mask(&["seat_limit"]),
        ..Default::default()
    };
    assert_eq!(reason(&admin.organizations.update_organization(license(9)).await.unwrap_err()), "SCOPE_MISSING");
    let mut platform = school.platform.clone();
    platform.organizations.update_organization(license(9)).await.unwrap();
    assert_eq!(school.seats().await.seats_available, Some(8));
}
}

on_both_engines! {
async fn b4_weak_codes_are_acknowledged_or_guarded_by_a_domain(homeroom) {
    let school = homeroom.school().await;
    let mut teacher = school.teacher.clone();
    let mut create = async |enrollment_code: EnrollmentCode| {
        teacher.enrollment_codes.create_enrollment_code(CreateEnrollmentCodeRequest {
            parent: school.class.clone(),
            enrollment_code: Some(enrollment_code),
            ..Default::default()
        }).await.map(tonic::Response::into_inner)
    };
    assert_eq!(reason(&create(code("BIO101")).await.unwrap_err()), "WEAK_CODE");
    let guarded = create(EnrollmentCode { email_domains: vec!["hamiltonschools.org".to_owned()], ..code("BIO101") }).await.unwrap();
    assert!(guarded.strength_bits < 50);
    // Without the domain it is weak again.
    let unguarded = UpdateEnrollmentCodeRequest {
        enrollment_code: Some(EnrollmentCode { name: guarded.name, ..Default::default() }),
        update_mask: field_mask(&["email_domains"]),
        ..Default::default()
    };
    let refused = school.teacher.clone().enrollment_codes.update_enrollment_code(unguarded).await.unwrap_err();
    assert_eq!(reason(&refused), "WEAK_CODE");
    assert!(create(code("K7Q2M9X4TB6WZP3")).await.unwrap().strength_bits >= 50);
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
