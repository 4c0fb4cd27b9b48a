//! Redemptions that an earlier version accepted and that membership did not: each ends, once both
//! services have this version.

use homeroom_api::{
    invitations::v1::{RedeemRequest, RedemptionOutcome, Token},
    membership::v1::GetOrganizationMemberRequest,
};
use homeroom_tests::{
    Engine,
    processes::{Processes, Service},
    reason, violated_fields,
};
use uuid::Uuid;

fn of(token: &Token, request_id: u128) -> RedeemRequest {
    RedeemRequest {
        credential: token.phrase.clone(),
        request_id: Uuid::from_u128(request_id).to_string(),
        ..Default::default()
    }
}

async fn every_redemption_ends(engine: Engine) {
    // Given two tokens of one use, and a redemption of each that has not reached membership,
    let mut processes = Processes::start(engine).await;
    let school = processes.school().await;
    let [kept, refused] = [
        school.token(Token::default()).await,
        school.token(Token::default()).await,
    ];
    processes.kill(Service::Membership);
    let [noam, ada] = ["noam", "ada"].map(|user| processes.user(user));
    for (user, request) in [(&noam, of(&kept, 1)), (&ada, of(&refused, 2))] {
        let unknown = user.redeem_with(request).await.unwrap_err();
        assert_eq!(reason(&unknown), "MEMBERSHIP_UNAVAILABLE");
    }
    // of people whose data an earlier version accepted and membership could not store,
    let databases = processes.databases();
    for sql in [
        "UPDATE redemptions SET display_name = '\u{200f}Noam' WHERE user_id = 'noam'",
        "UPDATE redemptions SET external_id = '\u{200f}4711' WHERE user_id = 'ada'",
    ] {
        databases.change_invitations(sql).await;
    }

    // when membership is back,
    processes.launch(Service::Membership).await;
    processes.settled().await;

    // then the person whose name had to be cleaned is admitted,
    let again = noam.redeem_with(of(&kept, 1)).await.unwrap();
    assert_eq!(again.outcome(), RedemptionOutcome::Admitted);
    let request = GetOrganizationMemberRequest {
        name: format!("{}/members/noam", school.organization),
    };
    let mut members = school.admin.clone().members;
    let member = members.get_organization_member(request).await.unwrap();
    assert_eq!(member.into_inner().display_name, "Noam");

    // the person whose id cannot be stored is refused with the field's name, on every try,
    for _ in 0..2 {
        let told = ada.redeem_with(of(&refused, 2)).await.unwrap_err();
        assert_eq!(reason(&told), "INVALID_REQUEST");
        assert_eq!(violated_fields(&told), ["user.external_id"]);
    }
    // the use is free again, so the person is admitted once the id is corrected,
    let corrected = ada.redeem_with(of(&refused, 3)).await.unwrap();
    assert_eq!(corrected.outcome(), RedemptionOutcome::Admitted);
    // and every invariant holds.
    processes.settled().await;
    let (holds, printed) = processes.audit();
    assert!(holds, "{printed}");
    processes.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p1_a_refusal_that_no_repetition_changes_ends_the_redemption_on_postgres() {
    every_redemption_ends(Engine::Postgres).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p1_a_refusal_that_no_repetition_changes_ends_the_redemption_on_sqlite() {
    every_redemption_ends(Engine::Sqlite).await;
}
