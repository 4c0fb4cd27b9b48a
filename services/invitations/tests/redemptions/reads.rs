//! `GetRedemption` and `ListRedemptions`.

use chrono::TimeDelta;
use homeroom_api::{
    common::v1::ErrorReason,
    membership::v1::join_request::State,
    names::{Place, RedemptionName},
};
use homeroom_invitations::domain::{
    invitation::InvitationKind,
    redemption::{Outcome, RedemptionState},
};

use crate::{
    fake_membership::Mode,
    world::{CODE, World, caller, class, list_audit_entries, list_redemptions, organization},
};

const CLASS_CODE: &str = "ABCD-EFGH-JKMN";

async fn reserved() -> (World, RedemptionName) {
    let world = World::new().await;
    world.code(None).await;
    world.membership.set(Mode::LosesAnswers);
    world.redeem("ann", CODE, "").await.unwrap_err();
    let name = world.redemptions().await[0].name();
    world.membership.set(Mode::Up);
    (world, name)
}

#[tokio::test]
async fn p10_reading_a_reserved_one_asks_membership() {
    let (world, name) = reserved().await;
    world.membership.set(Mode::Away);
    let unknown = world
        .app
        .get_redemption(&caller("ann"), name.clone())
        .await
        .unwrap_err();
    assert_eq!(unknown.reason(), ErrorReason::MembershipUnavailable);
    world.membership.set(Mode::Up);
    let read = world
        .app
        .get_redemption(&caller("ann"), name.clone())
        .await
        .unwrap();
    assert_eq!(read.state, RedemptionState::Committed);
    assert_eq!(read.outcome, Some(Outcome::Admitted));
    world.membership.set(Mode::Away);
    assert_eq!(
        world
            .app
            .get_redemption(&caller("ann"), name.clone())
            .await
            .unwrap(),
        read
    );
}

#[tokio::test]
async fn p10_reading_a_queued_one_sees_how_its_request_ended() {
    let world = World::new().await;
    world
        .invitation(InvitationKind::ClassCode, CLASS_CODE, |_| {})
        .await;
    world.advance(TimeDelta::days(14));
    let name = world
        .redeem("ann", CLASS_CODE, "")
        .await
        .unwrap()
        .redemption;
    let waiting = world
        .app
        .get_redemption(&caller("ann"), name.clone())
        .await
        .unwrap();
    assert_eq!(waiting.state, RedemptionState::Queued);
    world.membership.end_request("ann", State::Denied);
    let ended = world
        .app
        .get_redemption(&caller("ann"), name.clone())
        .await
        .unwrap();
    assert_eq!(ended.state, RedemptionState::Released);
    assert_eq!(ended.outcome, Some(Outcome::PendingApproval));
}

#[tokio::test]
async fn p10_one_that_membership_never_heard_of_is_read_as_it_stands() {
    let world = World::new().await;
    world.code(None).await;
    world.refusal_while(Mode::Away, "ann", CODE, "").await;
    let name = world.redemptions().await[0].name();
    let read = world
        .app
        .get_redemption(&caller("ann"), name.clone())
        .await
        .unwrap();
    assert_eq!(read.state, RedemptionState::Reserved);
}

#[tokio::test]
async fn a_page_token_of_another_version_is_a_bad_one_in_every_list() {
    let world = World::new().await;
    let (tess, app, place) = (caller("tess"), &world.app, class());
    for cursor in [&["not-an-id".to_owned()][..], &[]] {
        let token = |list: &str| app.paging.token(&format!("{list} {place} "), cursor);
        let redemptions = token("ListRedemptions");
        let redemptions = list_redemptions(app, &tess, &place, (2, &redemptions, ""));
        let entries = token("ListAuditEntries");
        let entries = list_audit_entries(app, &tess, &place, (2, &entries, ""));
        let codes = "ListEnrollmentCodes".to_owned();
        let codes = app
            .paging
            .parse(2, &app.paging.token(&codes, cursor), codes.as_str());
        let codes = codes.unwrap().cursor_as::<uuid::Uuid>(0);
        for refused in [
            redemptions.await.map(|_| ()),
            entries.await.map(|_| ()),
            codes.map(|_| ()),
        ] {
            let reason = refused.unwrap_err().reason();
            assert_eq!(reason, ErrorReason::InvalidPageToken, "{cursor:?}");
        }
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
    let tess = caller("tess");
    let place = Place::Organization(organization());
    let invitation = format!("{}/enrollmentCodes/{code}", class());
    for (filter, count) in [
        (format!("invitation = \"{invitation}\""), 2),
        (format!("invitation = \"{}/classCode\"", class()), 0),
        ("user = ann".to_owned(), 1),
        ("user = ann AND user = bob".to_owned(), 0),
        ("state = REFUSED".to_owned(), 1),
        ("state = RESERVED".to_owned(), 0),
        ("create_time > \"2027-01-15T08:00:00Z\"".to_owned(), 1),
        ("create_time >= \"2027-01-15T08:00:00Z\"".to_owned(), 2),
        ("create_time <= \"2027-01-15T08:00:00Z\"".to_owned(), 1),
        ("create_time < \"2027-01-15T08:00:00Z\"".to_owned(), 0),
    ] {
        let page = list_redemptions(&world.app, &tess, &place, (0, "", &filter))
            .await
            .unwrap();
        assert_eq!(page.items.len(), count, "{filter}");
    }
    for filter in [
        "user != ann",
        "state = GONE",
        "phase = 1",
        "create_time = \"2027-01-15T08:00:00Z\"",
    ] {
        let wrong = list_redemptions(&world.app, &tess, &place, (0, "", filter))
            .await
            .unwrap_err();
        assert_eq!(wrong.reason(), ErrorReason::InvalidFilter, "{filter}");
    }
}
