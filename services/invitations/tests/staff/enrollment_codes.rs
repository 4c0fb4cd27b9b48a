//! B1 to B16, as far as staff see them.

use chrono::TimeDelta;
use homeroom_api::{
    common::v1::ErrorReason,
    invitations::v1::{
        CreateEnrollmentCodeRequest, DeleteEnrollmentCodeRequest, EnrollmentCode,
        GetEnrollmentCodeRequest, ListEnrollmentCodesRequest, UpdateEnrollmentCodeRequest,
        enrollment_code::State, enrollment_code_service_server::EnrollmentCodeService,
    },
};
use homeroom_kit::clock::to_timestamp;
use prost_types::FieldMask;
use tonic::{Response, Status};

use crate::office::{CLASS, Office, by_owner, reason};

const ORGANIZATION: &str = "organizations/hamilton";

type Answer = Result<Response<EnrollmentCode>, Status>;

async fn try_create(office: &Office, parent: &str, enrollment_code: EnrollmentCode) -> Answer {
    let request = CreateEnrollmentCodeRequest {
        parent: parent.to_owned(),
        enrollment_code: Some(enrollment_code),
        acknowledge_weak: true,
        ..CreateEnrollmentCodeRequest::default()
    };
    office
        .enrollment_codes
        .create_enrollment_code(by_owner(request))
        .await
}

fn code(code: &str) -> EnrollmentCode {
    EnrollmentCode {
        code: code.to_owned(),
        ..EnrollmentCode::default()
    }
}

async fn create(office: &Office, text: &str) -> EnrollmentCode {
    try_create(office, CLASS, code(text))
        .await
        .unwrap()
        .into_inner()
}

async fn try_get(office: &Office, name: &str) -> Answer {
    let request = GetEnrollmentCodeRequest {
        name: name.to_owned(),
    };
    office
        .enrollment_codes
        .get_enrollment_code(by_owner(request))
        .await
}

async fn update(office: &Office, changed: EnrollmentCode, paths: &[&str]) -> Answer {
    let request = UpdateEnrollmentCodeRequest {
        enrollment_code: Some(changed),
        update_mask: Some(FieldMask {
            paths: paths.iter().map(ToString::to_string).collect(),
        }),
        acknowledge_weak: true,
        ..UpdateEnrollmentCodeRequest::default()
    };
    office
        .enrollment_codes
        .update_enrollment_code(by_owner(request))
        .await
}

#[tokio::test]
async fn b4_its_author_types_the_code_and_the_prefix_goes_before_it() {
    let office = Office::open().await;
    let made = create(&office, "bio 101").await;
    assert_eq!(made.code, "BIO-101");
    assert_eq!(made.full_code, "HAMILTON-BIO-101");
    assert_eq!(made.enabled, Some(true));
    assert_eq!(made.max_uses, Some(0));
    assert!(!made.may_be_public);
    assert_eq!(made.state(), State::Active);
    assert_eq!(
        try_get(&office, &made.name).await.unwrap().into_inner(),
        made
    );
}

#[tokio::test]
async fn b4_two_codes_that_come_out_equal_are_one_too_many() {
    let office = Office::open().await;
    create(&office, "BIO101").await;
    for text in ["bio101", "Bio-101", "B I O 1 0 1"] {
        let refused = try_create(&office, ORGANIZATION, code(text)).await;
        assert_eq!(reason(refused), ErrorReason::CodeTaken, "{text}");
    }
    let elsewhere = try_create(&office, "organizations/washington", code("BIO101")).await;
    assert!(elsewhere.is_ok(), "each organization has its own words");
    let other = create(&office, "CHEM101").await;
    let renamed = EnrollmentCode {
        name: other.name,
        ..code("bio 101")
    };
    let refused = update(&office, renamed, &["code"]).await;
    assert_eq!(reason(refused), ErrorReason::CodeTaken);
}

#[tokio::test]
async fn u4_two_codes_that_read_alike_are_one_too_many() {
    let office = Office::open().await;
    let bio = create(&office, "BIO101").await;
    let other = create(&office, "CHEM202").await;
    // It holds even if an earlier version stored it.
    for of_old in [false, true] {
        if of_old {
            office
                .tamper("UPDATE invitations SET folded_mac = NULL, folded_lookup_mac = NULL")
                .await;
        }
        for text in ["BI0101", "BIOIOI", "bl0-lol", "B10I01", "b i o l 0 l"] {
            let refused = try_create(&office, ORGANIZATION, code(text)).await;
            assert_eq!(reason(refused), ErrorReason::CodeTaken, "{text}");
            let renamed = EnrollmentCode {
                name: other.name.clone(),
                ..code(text)
            };
            let refused = update(&office, renamed, &["code"]).await;
            assert_eq!(reason(refused), ErrorReason::CodeTaken, "{text}");
        }
    }
    for text in ["810101", "BIQ101", "BIO1O2"] {
        create(&office, text).await;
    }
    // Its own author may change it to another spelling; people with the old spelling are shut out as by any other
    // change.
    let renamed = EnrollmentCode {
        name: bio.name.clone(),
        ..code("BI0-101")
    };
    let renamed = update(&office, renamed, &["code"]).await.unwrap();
    assert_eq!(renamed.get_ref().full_code, "HAMILTON-BI0-101");
    assert_eq!(office.membership.fence(&bio.name), 2);
    // Once it is deleted, another one may be made.
    let delete = by_owner(DeleteEnrollmentCodeRequest {
        name: bio.name,
        ..DeleteEnrollmentCodeRequest::default()
    });
    office
        .enrollment_codes
        .delete_enrollment_code(delete)
        .await
        .unwrap();
    create(&office, "BIOIOI").await;
}

#[tokio::test]
async fn u4_codes_of_old_that_collide_are_changed_as_before() {
    let office = Office::open().await;
    let one = create(&office, "BIO101").await;
    office
        .tamper("UPDATE invitations SET lookup_mac = unhex('00'), folded_mac = NULL, folded_lookup_mac = NULL")
        .await;
    let other = create(&office, "BI0101").await;
    office
        .tamper("UPDATE invitations SET folded_mac = unhex('11'), folded_lookup_mac = lookup_mac")
        .await;
    for (made, text) in [(one, "BIO101"), (other, "BI0101")] {
        let changed = EnrollmentCode {
            name: made.name,
            max_uses: Some(7),
            ..EnrollmentCode::default()
        };
        let changed = update(&office, changed, &["max_uses"]).await.unwrap();
        assert_eq!(changed.get_ref().code, text);
    }
}

#[tokio::test]
async fn b5_it_works_from_its_first_moment_and_not_at_its_last() {
    let office = Office::open().await;
    let from = office.now() + TimeDelta::days(1);
    let till = from + TimeDelta::days(1);
    let dated = EnrollmentCode {
        valid_from_time: Some(to_timestamp(from)),
        valid_till_time: Some(to_timestamp(till)),
        ..code("BIO101")
    };
    let made = try_create(&office, CLASS, dated)
        .await
        .unwrap()
        .into_inner();
    for (time, expected) in [
        (from - TimeDelta::microseconds(1), State::NotYetValid),
        (from, State::Active),
        (till - TimeDelta::microseconds(1), State::Active),
        (till, State::Expired),
    ] {
        office.clock.set(time);
        let read = try_get(&office, &made.name).await.unwrap();
        assert_eq!(read.get_ref().state(), expected, "{time}");
    }
    let backwards = EnrollmentCode {
        valid_from_time: Some(to_timestamp(till)),
        valid_till_time: Some(to_timestamp(till)),
        ..code("BIO102")
    };
    let refused = try_create(&office, CLASS, backwards).await;
    assert_eq!(reason(refused), ErrorReason::InvalidRequest);
    let alone = EnrollmentCode {
        name: made.name,
        valid_till_time: Some(to_timestamp(from)),
        ..EnrollmentCode::default()
    };
    let refused = update(&office, alone, &["valid_till_time"]).await;
    assert_eq!(reason(refused), ErrorReason::InvalidRequest);
}

#[tokio::test]
async fn b8_off_shuts_out_and_on_brings_back() {
    let office = Office::open().await;
    let made = create(&office, "BIO101").await;
    let switch = async |enabled| {
        let changed = EnrollmentCode {
            name: made.name.clone(),
            enabled: Some(enabled),
            ..EnrollmentCode::default()
        };
        update(&office, changed, &["enabled"])
            .await
            .unwrap()
            .into_inner()
    };
    let off = switch(false).await;
    assert_eq!(off.state(), State::Disabled);
    assert_eq!(off.code, "BIO101");
    assert_eq!(office.membership.fence(&made.name), 2);
    let on = switch(true).await;
    assert_eq!(on.state(), State::Active);
    assert_eq!(on.code, "BIO101");
    assert_eq!(office.membership.fence(&made.name), 2);
}

#[tokio::test]
async fn b9_on_does_not_override_the_dates() {
    let office = Office::open().await;
    let dated = EnrollmentCode {
        valid_till_time: Some(to_timestamp(office.now() - TimeDelta::days(1))),
        enabled: Some(true),
        ..code("BIO101")
    };
    let made = try_create(&office, CLASS, dated).await.unwrap();
    assert_eq!(made.get_ref().state(), State::Expired);
}

#[tokio::test]
async fn b10_the_code_itself_is_changed_and_the_old_one_shut_out() {
    let office = Office::open().await;
    let made = create(&office, "BIO101").await;
    let renamed = EnrollmentCode {
        name: made.name.clone(),
        ..code("BIO-101")
    };
    let shown = update(&office, renamed, &["code"])
        .await
        .unwrap()
        .into_inner();
    assert_eq!(shown.code, "BIO-101");
    assert_eq!(
        office.membership.fence(&made.name),
        0,
        "it still is the same code"
    );

    let renamed = EnrollmentCode {
        name: made.name.clone(),
        ..code("BIO102")
    };
    let changed = update(&office, renamed, &["code"])
        .await
        .unwrap()
        .into_inner();
    assert_eq!(changed.full_code, "HAMILTON-BIO102");
    assert_eq!(office.membership.fence(&made.name), 2);
    create(&office, "BIO101").await;
    assert_eq!(
        try_get(&office, &made.name).await.unwrap().into_inner(),
        changed
    );
}

#[tokio::test]
async fn r8_a_code_changed_to_one_that_reads_like_it_is_as_old_as_before() {
    let office = Office::open().await;
    let made = create(&office, "BIO101").await;
    let issued = office.row(&made.name).await.invitation.issue_time;
    office.advance(TimeDelta::days(1));
    for (text, is_as_old) in [("BIOI01", true), ("BIO102", false)] {
        let renamed = EnrollmentCode {
            name: made.name.clone(),
            ..code(text)
        };
        update(&office, renamed, &["code"]).await.unwrap();
        let issue_time = office.row(&made.name).await.invitation.issue_time;
        assert_eq!(issue_time == issued, is_as_old, "{text}");
    }
}

#[tokio::test]
async fn b10_everything_else_is_changed_without_a_fence() {
    let office = Office::open().await;
    let made = create(&office, "BIO101").await;
    let changed = EnrollmentCode {
        name: made.name.clone(),
        email_domains: vec!["*.hamiltonschools.org".to_owned()],
        max_uses: Some(30),
        allow_rejoin: true,
        display_name: "Term 1".to_owned(),
        ..EnrollmentCode::default()
    };
    let paths = ["email_domains", "max_uses", "allow_rejoin", "display_name"];
    let changed = update(&office, changed, &paths).await.unwrap().into_inner();
    assert_eq!(changed.email_domains, ["*.hamiltonschools.org"]);
    assert_eq!(changed.max_uses, Some(30));
    assert!(changed.allow_rejoin);
    assert_eq!(changed.display_name, "Term 1");
    assert_eq!(office.membership.fence(&made.name), 0);
}

#[tokio::test]
async fn b11_a_deleted_code_is_gone_and_may_be_typed_again() {
    let office = Office::open().await;
    let made = create(&office, "BIO101").await;
    let delete = || {
        by_owner(DeleteEnrollmentCodeRequest {
            name: made.name.clone(),
            ..DeleteEnrollmentCodeRequest::default()
        })
    };
    assert!(
        office
            .enrollment_codes
            .delete_enrollment_code(delete())
            .await
            .is_ok()
    );
    assert_eq!(office.membership.fence(&made.name), 2);
    assert_eq!(office.row(&made.name).await.secret, None);
    assert_eq!(
        reason(try_get(&office, &made.name).await),
        ErrorReason::CodeNotFound
    );
    let again = office
        .enrollment_codes
        .delete_enrollment_code(delete())
        .await;
    assert_eq!(reason(again), ErrorReason::CodeNotFound);
    create(&office, "BIO101").await;
}

#[tokio::test]
async fn b14_a_weak_code_is_acknowledged_or_guarded() {
    let office = Office::open().await;
    let create = async |acknowledge_weak, email_domains: &[&str]| {
        let request = CreateEnrollmentCodeRequest {
            parent: CLASS.to_owned(),
            enrollment_code: Some(EnrollmentCode {
                email_domains: email_domains.iter().map(ToString::to_string).collect(),
                ..code("BIO101")
            }),
            acknowledge_weak,
            ..CreateEnrollmentCodeRequest::default()
        };
        office
            .enrollment_codes
            .create_enrollment_code(by_owner(request))
            .await
    };
    assert_eq!(reason(create(false, &[]).await), ErrorReason::WeakCode);
    assert_eq!(
        reason(create(false, &["gmail.com"]).await),
        ErrorReason::DomainTooBroad
    );
    let made = create(false, &["hamiltonschools.org"])
        .await
        .unwrap()
        .into_inner();

    // Without the domain rule it is weak again.
    let request = UpdateEnrollmentCodeRequest {
        enrollment_code: Some(EnrollmentCode {
            name: made.name,
            ..EnrollmentCode::default()
        }),
        update_mask: Some(FieldMask {
            paths: vec!["email_domains".to_owned()],
        }),
        ..UpdateEnrollmentCodeRequest::default()
    };
    let refused = office
        .enrollment_codes
        .update_enrollment_code(by_owner(request))
        .await;
    assert_eq!(reason(refused), ErrorReason::WeakCode);
}

#[tokio::test]
async fn b7_a_class_lists_its_own_codes() {
    let office = Office::open().await;
    let made = create(&office, "BIO101").await;
    office.advance(TimeDelta::milliseconds(1));
    let off = EnrollmentCode {
        enabled: Some(false),
        ..code("BIO102")
    };
    let off = try_create(&office, CLASS, off).await.unwrap().into_inner();
    try_create(&office, ORGANIZATION, code("ALL"))
        .await
        .unwrap();
    let list = async |parent: &str, filter: &str| {
        let request = ListEnrollmentCodesRequest {
            parent: parent.to_owned(),
            filter: filter.to_owned(),
            ..ListEnrollmentCodesRequest::default()
        };
        let page = office
            .enrollment_codes
            .list_enrollment_codes(by_owner(request))
            .await;
        page.unwrap().into_inner().enrollment_codes
    };
    assert_eq!(list(CLASS, "").await, [off.clone(), made]);
    assert_eq!(list(CLASS, "enabled = false").await, [off]);
    let organization_wide = list(ORGANIZATION, "").await;
    assert_eq!(organization_wide.len(), 1);
    assert_eq!(organization_wide[0].full_code, "HAMILTON-ALL");
}

#[tokio::test]
async fn b4_a_code_of_another_alphabet_is_malformed() {
    let office = Office::open().await;
    for text in ["a", "BIO_101", "био", &"A".repeat(65)] {
        let refused = try_create(&office, CLASS, code(text)).await;
        assert_eq!(reason(refused), ErrorReason::CodeMalformed, "{text}");
    }
}
