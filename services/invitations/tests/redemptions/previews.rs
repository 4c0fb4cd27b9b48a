//! Preview (R4).

use homeroom_api::common::v1::ErrorReason;

use crate::{
    fake_membership::Mode,
    world::{CODE, World},
};

#[tokio::test]
async fn r4_membership_away_is_said_so() {
    let world = World::new().await;
    world.code(None).await;
    world.membership.set(Mode::Away);
    let away = world.preview("ann", CODE).await.unwrap_err();
    assert_eq!(away.reason(), ErrorReason::MembershipUnavailable);
}

#[tokio::test]
async fn p12_what_a_preview_was_charged_is_settled_though_its_client_has_gone() {
    let world = World::new().await;
    world.code(None).await;
    let caller = crate::world::caller("ann");
    let attempt = world.attempt("ann", CODE, "");
    {
        let mut preview = std::pin::pin!(world.app.redemptions.preview(&caller, attempt));
        let answered = futures::poll!(&mut preview);
        assert!(answered.is_pending());
    }
    world.quiet().await;
    assert_eq!(world.membership.state().heard.len(), 1);
}
