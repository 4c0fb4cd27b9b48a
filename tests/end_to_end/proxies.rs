//! People who call in their own name through a proxy: the limiter counts their addresses and not the proxy's (R10).

use homeroom_api::invitations::v1::{
    PreviewRedemptionRequest, redemption_service_client::RedemptionServiceClient,
};
use homeroom_invitations::limiter::Budgets;
use homeroom_tests::{Claims, Engine, Homeroom, databases::Databases, reason};
use tonic::Request;

/// The failures that an address may have.
const ADDRESS_FAILURES: u32 = 3;
const GUESSED: &str = "CODE_NOT_USABLE";
const REFUSED: &str = "TOO_MANY_ATTEMPTS";

/// Returns the answer to each guess of a person whose call bears this `x-forwarded-for`.
async fn guesses<const N: usize>(
    homeroom: &Homeroom,
    user: &str,
    forwarded_for: &str,
) -> [String; N] {
    let mut client =
        RedemptionServiceClient::connect(format!("http://{}", homeroom.invitations_address))
            .await
            .unwrap();
    let token = homeroom.access_token(Claims::of(user));
    let mut answers = [const { String::new() }; N];
    for (number, answer) in answers.iter_mut().enumerate() {
        let mut request = Request::new(PreviewRedemptionRequest {
            credential: format!("{user}-GUESS{number}"),
            ..Default::default()
        });
        let metadata = request.metadata_mut();
        metadata.insert("authorization", format!("Bearer {token}").parse().unwrap());
        metadata.insert("x-forwarded-for", forwarded_for.parse().unwrap());
        *answer = reason(&client.preview_redemption(request).await.unwrap_err());
    }
    answers
}

/// Starts both services, with invitations that believes these proxies.
async fn start(engine: Engine, proxies: &str) -> Homeroom {
    Homeroom::start_on(Databases::create(engine).await, |config| {
        config.trusted_proxies = proxies.parse().unwrap();
        config.budgets = Budgets {
            address_hourly: ADDRESS_FAILURES,
            user_free_of_address: 0,
            ..Budgets::default()
        };
    })
    .await
}

async fn a_person_behind_a_proxy_has_their_own_address(engine: Engine) {
    // Given a trusted proxy, through which one person has used up the budget of their address,
    let homeroom = start(engine, "192.0.2.1, 127.0.0.0/8").await;
    assert_eq!(
        guesses(&homeroom, "guesser", "203.0.113.7").await,
        [GUESSED; 3]
    );
    // then others at that address are refused, whatever they write before it, and people elsewhere are not.
    for (user, forwarded_for, second) in [
        ("neighbor", "203.0.113.7", REFUSED),
        ("forger", "198.51.100.1, 203.0.113.7", REFUSED),
        ("remote", "203.0.113.7, 198.51.100.1", GUESSED),
        ("beyond-two", "203.0.113.7, 192.0.2.1", REFUSED),
    ] {
        assert_eq!(
            guesses(&homeroom, user, forwarded_for).await,
            [GUESSED, second],
            "{user}"
        );
    }
    homeroom.stop().await;
}

async fn nobody_is_believed_by_default(engine: Engine) {
    let homeroom = start(engine, "192.0.2.1").await;
    assert_eq!(
        guesses(&homeroom, "guesser", "203.0.113.7").await,
        [GUESSED; 3]
    );
    assert_eq!(
        guesses(&homeroom, "remote", "198.51.100.1").await,
        [GUESSED, REFUSED]
    );
    homeroom.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r10_people_behind_a_trusted_proxy_have_their_own_addresses_on_sqlite() {
    a_person_behind_a_proxy_has_their_own_address(Engine::Sqlite).await;
    nobody_is_believed_by_default(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r10_people_behind_a_trusted_proxy_have_their_own_addresses_on_postgres_with_redis() {
    a_person_behind_a_proxy_has_their_own_address(Engine::Postgres).await;
    nobody_is_believed_by_default(Engine::Postgres).await;
}
