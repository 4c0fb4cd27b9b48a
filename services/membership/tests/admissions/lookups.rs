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
    p10_get_admission_tells_what_became_of_it,
    check_access_tells_role_state_and_whom_to_notify,
);

async fn p10_get_admission_tells_what_became_of_it(database: &Database) {
    let school = School::on(database).await;
    let redemption = school.joining("eve");
    let service = caller("svc");
    let get = || school.app.get_admission(&service, &redemption.redemption);
    assert_eq!(reason(get().await), ErrorReason::RedemptionNotFound);
    let filed = school.admit(&redemption).await.join_request.unwrap();
    let found = get().await.unwrap();
    assert_eq!(found.join_request.unwrap().state, State::Pending);
    school.approve(OWNER, &filed.name()).await.unwrap();
    let found = get().await.unwrap();
    assert_eq!(found.outcome, Outcome::Queued, "for ever the same");
    assert_eq!(found.join_request.unwrap().state, State::Approved);
    let mut elsewhere = redemption.redemption.clone();
    elsewhere.place = Place::parse("organizations/another").unwrap();
    let hidden = school.app.get_admission(&service, &elsewhere).await;
    assert_eq!(reason(hidden), ErrorReason::RedemptionNotFound);
    let mut bound = caller("svc");
    bound.organizations = Some(Vec::new());
    let hidden = school.app.get_admission(&bound, &redemption.redemption);
    assert_eq!(reason(hidden.await), ErrorReason::RedemptionNotFound);
}

async fn check_access_tells_role_state_and_whom_to_notify(database: &Database) {
    let school = School::with_seats(database, 30).await;
    let service = caller("svc");
    let ask = async |id: &str, place: Place, permission| {
        let (app, user) = (&school.app, user(id));
        let access = app.check_access(&service, &user, &place, permission);
        access.await.unwrap()
    };
    let manage = Permission::ManageInvitations;
    let owner = ask(OWNER, class(), manage).await.unwrap();
    assert!(owner.visible && owner.allowed);
    assert_eq!(owner.role, Some(Role::Owner));
    assert_eq!(owner.notify, [user(OWNER), user(CO_TEACHER)]);
    assert_eq!(owner.standing.seat_limit, 30);
    let co_teacher = ask(CO_TEACHER, class(), manage).await.unwrap();
    assert!(co_teacher.visible && !co_teacher.allowed);
    let stranger = ask("eve", class(), Permission::ReadInvitations).await;
    let stranger = stranger.unwrap();
    assert!(!stranger.visible && !stranger.allowed);
    let absent = Place::parse("organizations/hamilton/classes/chem").unwrap();
    let absent = ask(OWNER, absent, Permission::ViewClass).await;
    assert_eq!(absent, None);
    let administrator = ask("ada", organization(), Permission::ManageOrganization).await;
    let administrator = administrator.unwrap();
    assert!(administrator.allowed);
    assert_eq!(administrator.notify, [user("ada")]);
}
