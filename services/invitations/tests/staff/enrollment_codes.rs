//! Enrollment codes that read alike (U4), as staff make and change them.

use chrono::TimeDelta;
use homeroom_api::{
    common::v1::ErrorReason,
    invitations::v1::{
        CreateEnrollmentCodeRequest, DeleteEnrollmentCodeRequest, EnrollmentCode,
        UpdateEnrollmentCodeRequest, enrollment_code_service_server::EnrollmentCodeService as _,
    },
};
use tonic::{Response, Status};

use crate::world::{CLASS, World, by, reason};

type Answer = Result<Response<EnrollmentCode>, Status>;

async fn try_create(world: &World, parent: &str, text: &str) -> Answer {
    let request = CreateEnrollmentCodeRequest {
        parent: parent.to_owned(),
        enrollment_code: Some(EnrollmentCode {
            code: text.to_owned(),
            ..Default::default()
        }),
        acknowledge_weak: true,
        ..Default::default()
    };
    let codes = &world.enrollment_codes;
    codes.create_enrollment_code(by("tess", request)).await
}

async fn create(world: &World, text: &str) -> EnrollmentCode {
    let created = try_create(world, CLASS, text).await;
    created.unwrap().into_inner()
}

/// Changes the word of a code, or its uses if that is empty.
async fn update(world: &World, name: &str, text: &str) -> Answer {
    let request = UpdateEnrollmentCodeRequest {
        enrollment_code: Some(EnrollmentCode {
            name: name.to_owned(),
            code: text.to_owned(),
            max_uses: text.is_empty().then_some(7),
            ..Default::default()
        }),
        acknowledge_weak: true,
        ..Default::default()
    };
    let codes = &world.enrollment_codes;
    codes.update_enrollment_code(by("tess", request)).await
}

#[tokio::test]
async fn u4_two_codes_that_read_alike_are_one_too_many() {
    let world = World::new().await;
    let bio = create(&world, "BIO101").await;
    let other = create(&world, "CHEM202").await;
    // It holds even if an earlier version stored it.
    for of_old in [false, true] {
        if of_old {
            let unfolded = "UPDATE invitations SET folded_mac = NULL, folded_lookup_mac = NULL";
            world.tamper(unfolded).await;
        }
        for text in ["BI0101", "BIOIOI", "bl0-lol", "B10I01", "b i o l 0 l"] {
            let refused = try_create(&world, "organizations/hamilton", text).await;
            assert_eq!(reason(refused), ErrorReason::CodeTaken, "{text}");
            let refused = update(&world, &other.name, text).await;
            assert_eq!(reason(refused), ErrorReason::CodeTaken, "{text}");
        }
    }
    for text in ["810101", "BIQ101", "BIO1O2"] {
        create(&world, text).await;
    }
    // Its own author may change it to another spelling; people with the old spelling are shut out as by any other
    // change.
    let renamed = update(&world, &bio.name, "BI0-101").await.unwrap();
    assert_eq!(renamed.get_ref().full_code, "HAMILTON-BI0-101");
    assert_eq!(world.membership.fence(&bio.name), 2);
    // Once it is deleted, another one may be made.
    let delete = DeleteEnrollmentCodeRequest {
        name: bio.name,
        ..Default::default()
    };
    let codes = &world.enrollment_codes;
    let deleted = codes.delete_enrollment_code(by("tess", delete)).await;
    deleted.unwrap();
    create(&world, "BIOIOI").await;
}

#[tokio::test]
async fn u4_codes_of_old_that_collide_are_changed_as_before() {
    let world = World::new().await;
    let one = create(&world, "BIO101").await;
    let of_old = "UPDATE invitations SET lookup_mac = unhex('00'), folded_mac = NULL, folded_lookup_mac = NULL";
    world.tamper(of_old).await;
    let other = create(&world, "BI0101").await;
    let folded = "UPDATE invitations SET folded_mac = unhex('11'), folded_lookup_mac = lookup_mac";
    world.tamper(folded).await;
    for (made, text) in [(one, "BIO101"), (other, "BI0101")] {
        let changed = update(&world, &made.name, "").await.unwrap();
        assert_eq!(changed.get_ref().code, text);
    }
}

#[tokio::test]
async fn r8_a_code_changed_to_one_that_reads_like_it_is_as_old_as_before() {
    let world = World::new().await;
    let made = create(&world, "BIO101").await;
    let issued = world.row(&made.name).await.invitation.issue_time;
    world.advance(TimeDelta::days(1));
    for (text, is_as_old) in [("BIOI01", true), ("BIO102", false)] {
        update(&world, &made.name, text).await.unwrap();
        let issue_time = world.row(&made.name).await.invitation.issue_time;
        assert_eq!(issue_time == issued, is_as_old, "{text}");
    }
}
