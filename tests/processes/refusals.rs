//! Redemptions that an earlier version accepted, with particulars that membership does not store in full: each
//! completes, once both services have this version.

use homeroom_api::{invitations::v1::Token, membership::v1::Member};
use homeroom_tests::{
    Engine,
    processes::{Processes, Service},
    reason,
};
use serde_json::json;

use crate::{admitted, request};

async fn every_redemption_ends(engine: Engine) {
    // Given two tokens of one use, and a redemption of each that has not reached membership,
    let mut processes = Processes::start(engine).await;
    let school = processes.school().await;
    let cleaned = request(&school.token(Token::default()).await.phrase, 1);
    let left_out = request(&school.token(Token::default()).await.phrase, 2);
    processes.kill(Service::Membership);
    let [noam, ada] = ["noam", "ada"].map(|user| processes.user(user));
    for (user, request) in [(&noam, &cleaned), (&ada, &left_out)] {
        let unknown = user.redeem_with(request.clone()).await.unwrap_err();
        assert_eq!(reason(&unknown), "MEMBERSHIP_UNAVAILABLE");
    }
    // with particulars that an earlier version accepted and that membership does not store,
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

    // then each person is a member, with as much of the particulars as can be stored,
    for (user, client, request, shown) in [
        ("noam", &noam, cleaned, ["Noam", ""]),
        ("ada", &ada, left_out, ["", ""]),
    ] {
        admitted(client, request).await;
        let name = json!({"name": format!("{}/members/{user}", school.organization)});
        let member = school
            .admin
            .ask("MemberService.GetOrganizationMember", name);
        let member: Member = member.await;
        assert_eq!([member.display_name, member.external_id], shown, "{user}");
    }
    // and every invariant holds.
    processes.settled().await;
    let (holds, printed) = processes.audit();
    assert!(holds, "{printed}");
    processes.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p1_what_an_earlier_version_let_pass_ends_the_redemption_on_postgres() {
    every_redemption_ends(Engine::Postgres).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p1_what_an_earlier_version_let_pass_ends_the_redemption_on_sqlite() {
    every_redemption_ends(Engine::Sqlite).await;
}
