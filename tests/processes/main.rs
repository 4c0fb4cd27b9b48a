//! Both services as processes, killed in the middle of their work.

use std::{collections::BTreeSet, time::Duration};

use homeroom_api::{
    invitations::v1::{
        GetClassCodeRequest, ListRedemptionsRequest, RedeemRequest, RedemptionOutcome,
        redemption::State,
    },
    membership::v1::{
        Class, CreateClassRequest, CreateOrganizationRequest, GetSeatUsageRequest,
        ListClassMembersRequest, Organization,
    },
};
use homeroom_tests::{
    Claims, Engine,
    processes::{Processes, Service},
};
use tonic::Code;
use uuid::Uuid;

/// How many redeem while a service is killed.
const REDEEMERS: usize = 200;
/// After how many answers the service is killed.
const KILL_AFTER_ANSWERS: usize = 40;
/// How long one person goes on trying.
const PATIENCE_SECONDS: u64 = 120;
/// Within which everything under way is settled once both serve again.
const SETTLE_SECONDS: u64 = 60;

async fn kill_in_the_middle(engine: Engine, victim: Service) {
    let mut processes = Processes::start(engine).await;
    let mut platform = processes.user_with(Claims {
        scopes: &["homeroom.platform"],
        ..Claims::of("platform")
    });
    let mut teacher = processes.user("teacher");
    platform
        .organizations
        .create_organization(CreateOrganizationRequest {
            organization_id: "hamilton".to_owned(),
            organization: Some(Organization {
                display_name: "Hamilton".to_owned(),
                seat_limit: i64::try_from(REDEEMERS).unwrap(),
                ..Default::default()
            }),
            admin: "teacher".to_owned(),
            ..Default::default()
        })
        .await
        .unwrap();
    let class = teacher
        .classes
        .create_class(CreateClassRequest {
            parent: "organizations/hamilton".to_owned(),
            class_id: "biology".to_owned(),
            class: Some(Class {
                display_name: "Biology".to_owned(),
                ..Default::default()
            }),
            ..Default::default()
        })
        .await
        .unwrap()
        .into_inner()
        .name;
    let code = teacher
        .class_codes
        .get_class_code(GetClassCodeRequest {
            name: format!("{class}/classCode"),
        })
        .await
        .unwrap()
        .into_inner()
        .code;

    // When 200 redeem, and the service is killed after 40 answers and started again.
    let (answered, mut answers) = tokio::sync::mpsc::unbounded_channel();
    for index in 0..REDEEMERS {
        let student = processes.user(&format!("student-{index}"));
        let (answered, code) = (answered.clone(), code.clone());
        tokio::spawn(async move {
            let request = RedeemRequest {
                credential: code,
                request_id: Uuid::from_u128(0x7000_8000_0000_0000_0000 + index as u128).to_string(),
                ..Default::default()
            };
            let patience = tokio::time::timeout(Duration::from_secs(PATIENCE_SECONDS), async {
                loop {
                    match student.redeem_with(request.clone()).await {
                        Ok(redeemed) => return Ok(redeemed),
                        // A cut connection surfaces as UNKNOWN or CANCELLED too: the outcome is not known, so ask again.
                        Err(status)
                            if matches!(
                                status.code(),
                                Code::Unavailable
                                    | Code::Aborted
                                    | Code::Unknown
                                    | Code::Cancelled
                                    | Code::Internal
                                    | Code::DeadlineExceeded
                            ) =>
                        {
                            tokio::time::sleep(Duration::from_millis(100)).await;
                        }
                        Err(status) => return Err(status),
                    }
                }
            });
            answered
                .send(patience.await.expect("an answer in time"))
                .unwrap();
        });
    }
    drop(answered);
    let mut redemptions = BTreeSet::new();
    while let Some(answer) = answers.recv().await {
        let redeemed = answer.unwrap();
        // Each ends once: the first answer, or the same one told again.
        assert_eq!(redeemed.outcome(), RedemptionOutcome::Admitted);
        assert!(
            redemptions.insert(redeemed.redemption),
            "one redemption each"
        );
        if redemptions.len() == KILL_AFTER_ANSWERS {
            processes.kill(victim);
            processes.launch(victim).await;
        }
    }
    assert_eq!(redemptions.len(), REDEEMERS);

    // Then seats, members and redemptions agree once everything has settled.
    let mut teacher = processes.user("teacher");
    let settled = async {
        loop {
            let list = ListRedemptionsRequest {
                parent: class.clone(),
                page_size: 1000,
                ..Default::default()
            };
            if let Ok(page) = teacher.redemptions.list_redemptions(list).await {
                let found = page.into_inner().redemptions;
                if found
                    .iter()
                    .all(|redemption| redemption.state() == State::Committed)
                {
                    return found.len();
                }
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    let committed = tokio::time::timeout(Duration::from_secs(SETTLE_SECONDS), settled)
        .await
        .expect("settled within a minute");
    assert_eq!(committed, REDEEMERS);
    let seats = teacher
        .organizations
        .get_seat_usage(GetSeatUsageRequest {
            name: "organizations/hamilton/seatUsage".to_owned(),
        })
        .await
        .unwrap()
        .into_inner();
    assert_eq!((seats.seats_used, seats.seats_available), (200, Some(0)));
    let roster = teacher
        .members
        .list_class_members(ListClassMembersRequest {
            parent: class.clone(),
            page_size: 1000,
            ..Default::default()
        })
        .await
        .unwrap()
        .into_inner()
        .members;
    assert_eq!(roster.len(), REDEEMERS + 1);
    let (holds, printed) = processes.audit();
    assert!(holds, "{printed}");
    processes.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p1_membership_killed_in_the_middle_of_200_redemptions_on_postgres() {
    kill_in_the_middle(Engine::Postgres, Service::Membership).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p1_invitations_killed_in_the_middle_of_200_redemptions_on_postgres() {
    kill_in_the_middle(Engine::Postgres, Service::Invitations).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p1_membership_killed_in_the_middle_of_200_redemptions_on_sqlite() {
    kill_in_the_middle(Engine::Sqlite, Service::Membership).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p1_invitations_killed_in_the_middle_of_200_redemptions_on_sqlite() {
    kill_in_the_middle(Engine::Sqlite, Service::Invitations).await;
}
