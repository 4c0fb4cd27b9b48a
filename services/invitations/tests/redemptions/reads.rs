//! `GetRedemption` and `ListRedemptions`.

use chrono::TimeDelta;
use homeroom_api::{
    common::v1::ErrorReason,
    invitations::v1::{
        ListAuditEntriesRequest, ListRedemptionsRequest, audit_service_server::AuditService as _,
    },
    membership::v1::join_request::State,
    names::{Place, RedemptionName},
};
use homeroom_invitations::{
    domain::redemption::{Outcome, RedemptionState},
    grpc::audit_service::AuditHandlers,
    redemption::ledger::Redemption,
};
use homeroom_kit::Result;

use crate::{
    fake_membership::Mode,
    world::{
        CLASS, CLASS_CODE, CODE, World, by, caller, list_redemptions, organization, reason,
        redeem_in_vain,
    },
};

async fn read(world: &World, name: &RedemptionName) -> Result<Redemption> {
    let ann = caller("ann");
    world.app.get_redemption(&ann, name.clone()).await
}

#[tokio::test]
async fn p10_reading_a_reserved_one_asks_membership() {
    let world = World::new().await;
    world.code(None).await;
    redeem_in_vain(&world, Mode::LosesAnswers, "ann", CODE, "").await;
    let name = world.redemptions().await[0].name();
    world.membership.set(Mode::Away);
    let unknown = read(&world, &name).await.unwrap_err();
    assert_eq!(unknown.reason(), ErrorReason::MembershipUnavailable);
    world.membership.set(Mode::Up);
    let settled = read(&world, &name).await.unwrap();
    assert_eq!(settled.state, RedemptionState::Committed);
    assert_eq!(settled.outcome, Some(Outcome::Admitted));
    world.membership.set(Mode::Away);
    assert_eq!(read(&world, &name).await.unwrap(), settled);
}

#[tokio::test]
async fn p10_reading_a_queued_one_sees_how_its_request_ended() {
    let world = World::new().await;
    world.locked_class_code().await;
    let waiting = world.redeem("ann", CLASS_CODE, "").await;
    let name = waiting.unwrap().redemption;
    let waiting = read(&world, &name).await.unwrap();
    assert_eq!(waiting.state, RedemptionState::Queued);
    world.membership.end_request("ann", State::Denied);
    let ended = read(&world, &name).await.unwrap();
    assert_eq!(ended.state, RedemptionState::Released);
    assert_eq!(ended.outcome, Some(Outcome::PendingApproval));
}

#[tokio::test]
async fn p10_one_that_membership_never_heard_of_is_read_as_it_stands() {
    let world = World::new().await;
    world.code(None).await;
    redeem_in_vain(&world, Mode::Away, "ann", CODE, "").await;
    let name = world.redemptions().await[0].name();
    let unheard_of = read(&world, &name).await.unwrap();
    assert_eq!(unheard_of.state, RedemptionState::Reserved);
}

#[tokio::test]
async fn a_page_token_of_another_version_is_a_bad_one_in_every_list() {
    let world = World::new().await;
    let paging = &world.app.paging;
    let parent = Place::Organization(organization()).to_string();
    for cursor in [&["not-an-id".to_owned()][..], &[]] {
        let token = |method: &str| paging.token(&format!("{method} {parent} "), cursor);
        let redemptions = token(std::any::type_name::<ListRedemptionsRequest>());
        let redemptions = list_redemptions(&world, "", &redemptions).await;
        let entries = ListAuditEntriesRequest {
            page_token: token(std::any::type_name::<ListAuditEntriesRequest>()),
            parent: parent.clone(),
            ..Default::default()
        };
        let handlers = AuditHandlers(world.app.clone());
        let entries = handlers.list_audit_entries(by("tess", entries)).await;
        for refused in [reason(redemptions), reason(entries)] {
            assert_eq!(refused, ErrorReason::InvalidPageToken, "{cursor:?}");
        }
        let codes = paging.token("ListEnrollmentCodes", cursor);
        let codes = paging.parse(2, &codes, "ListEnrollmentCodes").unwrap();
        let refused = codes.cursor_as::<uuid::Uuid>().unwrap_err();
        assert_eq!(refused.reason(), ErrorReason::InvalidPageToken);
    }
}

#[tokio::test]
async fn lists_filter_by_invitation_user_state_and_time() {
    let world = World::new().await;
    let code = world.code(Some(1)).await;
    for name in ["ann", "bob"] {
        let _ = world.redeem(name, CODE, "").await;
        world.advance(TimeDelta::seconds(1));
    }
    let invitation = format!("{CLASS}/enrollmentCodes/{code}");
    for (filter, count) in [
        (format!("invitation = \"{invitation}\""), 2),
        (format!("invitation = \"{CLASS}/classCode\""), 0),
        ("user = ann".to_owned(), 1),
        ("user = ann AND user = bob".to_owned(), 0),
        ("state = REFUSED".to_owned(), 1),
        ("state = RESERVED".to_owned(), 0),
        ("create_time > \"2027-01-15T08:00:00Z\"".to_owned(), 1),
        ("create_time >= \"2027-01-15T08:00:00Z\"".to_owned(), 2),
        ("create_time <= \"2027-01-15T08:00:00Z\"".to_owned(), 1),
        ("create_time < \"2027-01-15T08:00:00Z\"".to_owned(), 0),
    ] {
        let listed = list_redemptions(&world, &filter, "").await;
        assert_eq!(listed.unwrap().len(), count, "{filter}");
    }
    for filter in [
        "user != ann",
        "state = GONE",
        "phase = 1",
        "create_time = \"2027-01-15T08:00:00Z\"",
    ] {
        let wrong = reason(list_redemptions(&world, filter, "").await);
        assert_eq!(wrong, ErrorReason::InvalidFilter, "{filter}");
    }
}
