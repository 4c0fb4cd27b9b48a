//! Calls that change nothing: previews, `GetAdmission` and `CheckAccess`; and refusals for what does not exist.

use homeroom_api::{common::v1::ErrorReason, names::Place};
use homeroom_membership::domain::{
    access::Permission, admission::Outcome, join_request::State, member::Role,
};

use crate::{
    harness::{CO_TEACHER, OWNER, School, caller, class, organization, reason, user},
    support::{Database, on_both_engines},
};

on_both_engines!(
    r4_a_preview_answers_the_same_and_writes_nothing,
    p10_get_admission_tells_what_became_of_it,
    check_access_tells_role_state_and_whom_to_notify,
    an_absent_organization_or_class_is_a_stored_refusal,
);

async fn r4_a_preview_answers_the_same_and_writes_nothing(database: &Database) {
    let school = School::with_seats(database, 1).await;
    school.queue("kim").await;
    let mut stale = school.redemption("eve");
    stale.attempt.epoch = 1;
    school
        .app
        .raise_fence(stale.invitation.clone(), 1)
        .await
        .unwrap();
    let mut before_fence = stale.clone();
    before_fence.attempt.epoch = 0;
    let previews = [
        stale,
        before_fence,
        school.joining("eve"),
        school.joining("kim"),
    ];
    let answers = school.app.preview(&previews).await.unwrap();
    let outcomes: Vec<_> = answers
        .iter()
        .map(|a| a.as_ref().unwrap().outcome)
        .collect();
    assert_eq!(
        outcomes,
        [
            Outcome::Admitted,
            Outcome::StaleEpoch,
            Outcome::Queued,
            Outcome::AlreadyPending
        ]
    );
    let admitted = answers[0].as_ref().unwrap();
    assert_eq!(admitted.member, None);
    assert_eq!(admitted.class_display_name, "Biology");
    assert!(answers[3].as_ref().unwrap().join_request.is_some());
    assert!(school.member(&organization(), "eve").await.is_none());
    assert_eq!(school.event_types().await, ["join_request.created"]);
    school.assert_counts(0, 1).await;
    let unknown = school
        .app
        .get_admission(&caller("svc"), &previews[0].redemption)
        .await;
    assert_eq!(reason(unknown), ErrorReason::RedemptionNotFound);
}

async fn p10_get_admission_tells_what_became_of_it(database: &Database) {
    let school = School::on(database).await;
    let redemption = school.joining("eve");
    let service = caller("svc");
    let unknown = school
        .app
        .get_admission(&service, &redemption.redemption)
        .await;
    assert_eq!(reason(unknown), ErrorReason::RedemptionNotFound);
    let filed = school.admit(&redemption).await.join_request.unwrap();
    let found = school
        .app
        .get_admission(&service, &redemption.redemption)
        .await
        .unwrap();
    assert_eq!(found.join_request.unwrap().state, State::Pending);
    school.approve(OWNER, &filed.name()).await.unwrap();
    let found = school
        .app
        .get_admission(&service, &redemption.redemption)
        .await
        .unwrap();
    assert_eq!(found.outcome, Outcome::Queued, "for ever the same");
    assert_eq!(found.join_request.unwrap().state, State::Approved);
    let mut elsewhere = redemption.redemption.clone();
    elsewhere.place = Place::parse("organizations/another").unwrap();
    let hidden = school.app.get_admission(&service, &elsewhere).await;
    assert_eq!(reason(hidden), ErrorReason::RedemptionNotFound);
    let mut bound = service;
    bound.organizations = Some(Vec::new());
    let hidden = school
        .app
        .get_admission(&bound, &redemption.redemption)
        .await;
    assert_eq!(reason(hidden), ErrorReason::RedemptionNotFound);
}

async fn check_access_tells_role_state_and_whom_to_notify(database: &Database) {
    let school = School::with_seats(database, 30).await;
    let service = caller("svc");
    let ask = |id: &'static str, place: Place, permission| {
        let (school, service) = (&school, &service);
        async move {
            school
                .app
                .check_access(service, &user(id), &place, permission)
                .await
                .unwrap()
        }
    };
    let owner = ask(OWNER, class(), Permission::ManageInvitations)
        .await
        .unwrap();
    assert!(owner.visible && owner.allowed);
    assert_eq!(owner.role, Some(Role::Owner));
    assert_eq!(owner.notify, [user(OWNER), user(CO_TEACHER)]);
    assert_eq!(owner.standing.seat_limit, 30);
    let co_teacher = ask(CO_TEACHER, class(), Permission::ManageInvitations)
        .await
        .unwrap();
    assert!(co_teacher.visible && !co_teacher.allowed);
    let stranger = ask("eve", class(), Permission::ReadInvitations)
        .await
        .unwrap();
    assert!(!stranger.visible && !stranger.allowed);
    let absent = Place::parse("organizations/hamilton/classes/chem").unwrap();
    let absent = ask(OWNER, absent, Permission::ViewClass).await;
    assert_eq!(absent, None);
    let administrator = ask("ada", organization(), Permission::ManageOrganization)
        .await
        .unwrap();
    assert!(administrator.allowed);
    assert_eq!(administrator.notify, [user("ada")]);
}

async fn an_absent_organization_or_class_is_a_stored_refusal(database: &Database) {
    let school = School::on(database).await;
    let nowhere = Place::parse("organizations/nowhere/classes/bio-101").unwrap();
    let no_class = Place::parse("organizations/hamilton/classes/chem").unwrap();
    for (place, refusal) in [
        (nowhere, ErrorReason::OrganizationNotFound),
        (no_class, ErrorReason::ClassNotFound),
    ] {
        let redemption = school.redemption_at(&place, "eve");
        for _ in 0..2 {
            let answer = school.admit(&redemption).await;
            assert_eq!(answer.outcome, Outcome::Refused(refusal));
        }
    }
    assert!(school.events().await.is_empty());
}
