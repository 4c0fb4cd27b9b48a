//! Answers outlive everything that they were about (P1), and every request ends with one event (P5).

use homeroom_api::names::{MemberName, OrganizationName};
use homeroom_kit::auth::Scope;
use homeroom_membership::{
    app::{class_members, classes, organizations},
    domain::{admission::Outcome, join_request::State, member::Role},
};

use crate::{
    harness::{ADMINISTRATOR, School, caller, class, class_name, member, organization, user},
    support::{Database, on_both_engines},
};

on_both_engines!(
    p1_admissions_outlive_the_deletion_of_their_class_and_organization,
    p5_a_removal_from_a_class_closes_what_the_person_has_waiting_there,
);

async fn p1_admissions_outlive_the_deletion_of_their_class_and_organization(database: &Database) {
    let school = School::with_seats(database, 2).await;
    // Given an answer of each kind
    let admitted = school.redemption("eve");
    let queued = school.joining("bob");
    let mut refused = school.redemption("kim");
    refused.attempt.refuse_reason = Some(homeroom_api::common::v1::ErrorReason::UsedUp);
    let redemptions = [admitted, queued, refused];
    let mut answered = Vec::new();
    for redemption in &redemptions {
        answered.push(school.admit(redemption).await.outcome);
    }
    let keys = redemptions.each_ref().map(|sent| sent.redemption.id);
    let stored = async || {
        let mut repository = school.app.store.read().await.unwrap();
        let mut stored = repository.admissions(&keys).await.unwrap();
        stored.sort_by_key(|stored| stored.redemption);
        stored
    };
    let before = stored().await;
    assert_eq!(before.len(), redemptions.len());
    // When their class, and then their organization, is deleted
    for organization_too in [false, true] {
        let by = caller(ADMINISTRATOR).with_scopes([Scope::Platform]);
        let delete = school.change(&by, move |change| {
            Box::pin(async move {
                if organization_too {
                    let name = OrganizationName(organization().organization().clone());
                    organizations::delete(change, name, (true, String::new())).await
                } else {
                    classes::delete(change, class_name(), String::new()).await
                }
            })
        });
        delete.await.unwrap();
        // Then the rows are what they were, and each repetition gets its first answer.
        assert_eq!(stored().await, before);
        for (redemption, outcome) in redemptions.iter().zip(&answered) {
            let again = school.admit(redemption).await;
            assert_eq!(again.outcome, *outcome);
            assert_eq!(again.member, None, "nobody comes back by it");
            let by = caller("invitations");
            let read = school.app.get_admission(&by, &redemption.redemption);
            assert_eq!(read.await.unwrap().outcome, *outcome);
        }
    }
    let closed = school.event("join_request.closed").await;
    let queued = redemptions[1].redemption.to_string();
    assert_eq!(closed.data["redemption"], queued);
}

async fn p5_a_removal_from_a_class_closes_what_the_person_has_waiting_there(database: &Database) {
    let school = School::with_seats(database, 2).await;
    // Given a member who waits nevertheless, which no admission allows (P8)
    let waiting = school.queue("eve").await;
    let redemption = school.redemption_at(&organization(), "eve");
    let organization_member = school.admit(&redemption).await;
    assert_eq!(organization_member.outcome, Outcome::Admitted);
    let mut repository = school.app.store.write().await.unwrap();
    let in_class = member(&class(), "eve", Role::Student, school.now());
    repository.insert_members(&[in_class]).await.unwrap();
    repository.commit("test").await.unwrap();
    school.assert_counts(1, 1).await;
    // When staff remove them from the class
    let by = caller(ADMINISTRATOR);
    let remove = school.change(&by, |change| {
        Box::pin(async move {
            let name = MemberName {
                place: class(),
                user: user("eve"),
            };
            class_members::remove(change, name, String::new()).await
        })
    });
    remove.await.unwrap();
    // Then the request is closed once, and no longer counted.
    assert_eq!(school.request(&waiting.name()).await.state, State::Closed);
    school.assert_ended(&waiting, "CLOSED").await;
    school.assert_counts(1, 0).await;
}
