//! The parts of the client that can be tested without a service.

use homeroom_kit::{clock::ManualClock, random::SeededRandomness};

use super::*;

fn client(url: &str, clock: SharedClock) -> MembershipClient {
    let signer = Signer::generate(&SeededRandomness::new(1)).unwrap();
    MembershipClient::new(url, None, Arc::new(signer), "issuer", "homeroom", clock).unwrap()
}

#[test]
fn only_http_addresses_are_taken() {
    for url in ["http://127.0.0.1:50051", "https://membership:50051"] {
        assert!(MembershipClient::check_url(url).is_ok(), "{url}");
    }
    for url in ["", "127.0.0.1:50051", "ftp://a", "http://"] {
        assert!(MembershipClient::check_url(url).is_err(), "{url}");
    }
}

#[tokio::test]
async fn an_https_address_is_never_called_in_plaintext() {
    let signer = Arc::new(Signer::generate(&SeededRandomness::new(1)).unwrap());
    let clock = Arc::new(homeroom_kit::clock::SystemClock);
    let url = "https://membership:50051";
    let refused = MembershipClient::new(url, None, signer, "issuer", "homeroom", clock);
    assert_eq!(refused.unwrap_err(), MembershipUrlMalformed::NoAuthority);
}

#[tokio::test]
async fn a_token_is_used_until_a_minute_before_its_end() {
    let start = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
    let clock = Arc::new(ManualClock::new(start));
    let client = client("http://127.0.0.1:1", clock.clone());
    let first = client.token().unwrap();
    clock.advance(TimeDelta::seconds(239));
    assert!(client.token().unwrap() == first);
    clock.advance(TimeDelta::seconds(1));
    let second = client.token().unwrap();
    assert!(second != first);
    clock.set(start - TimeDelta::hours(1));
    assert!(client.token().unwrap() != second, "the clock was set back");
}

#[tokio::test]
async fn r3_a_service_that_does_not_answer_is_unknown() {
    let start = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
    let client = client("http://127.0.0.1:1", Arc::new(ManualClock::new(start)));
    let error = client
        .raise_fence("organizations/abc/inviteToken", Epoch::FIRST, None)
        .await
        .unwrap_err();
    assert_eq!(error.reason(), ErrorReason::MembershipUnavailable);
    let results = client.admit(&[AdmitRequest::default()], None).await;
    assert_eq!(results.len(), 1);
}

#[test]
fn a_deadline_is_passed_on_less_a_margin() {
    let left = time_left(Some(Instant::now() + Duration::from_secs(2))).unwrap();
    assert!(left <= Duration::from_millis(2_000 - DEADLINE_MARGIN_MILLIS));
    let error = time_left(Some(Instant::now())).unwrap_err();
    assert_eq!(error.reason(), ErrorReason::DeadlineTooShort);
    assert_eq!(
        time_left(None).unwrap(),
        Duration::from_millis(CALL_MILLIS_MAX)
    );
}
