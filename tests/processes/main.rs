//! Both services as processes: killed, stopped, restarted, traced, migrated and upgraded.

mod canary;
mod durability;
mod jwks_url;
mod keys;
mod migrations;
mod redis_away;
mod refusals;
mod restored;
mod stop;
mod tls;
mod upgrade;
mod ways;

use homeroom_api::invitations::v1::{RedeemRequest, RedemptionOutcome};
use homeroom_tests::Clients;
use uuid::Uuid;

/// Returns the request of the person with this number, the same for every try.
fn request(credential: &str, number: usize) -> RedeemRequest {
    RedeemRequest {
        credential: credential.to_owned(),
        request_id: Uuid::from_u128(0x7000_8000_0000_0000_0000 + number as u128).to_string(),
        ..Default::default()
    }
}

/// Redeems until there is an answer, which must admit. Returns the redemption's name.
async fn admitted(student: &Clients, request: RedeemRequest) -> String {
    let redeemed = student.redeem_at_last(request).await.unwrap();
    assert_eq!(redeemed.outcome(), RedemptionOutcome::Admitted);
    redeemed.redemption
}
