//! C9 to C12, as far as staff see them.

use homeroom_api::invitations::v1::{
    GetJoinUrlRequest, JoinUrl, UpdateJoinUrlRequest, join_url_service_server::JoinUrlService,
};
use prost_types::FieldMask;

use crate::office::{CLASS, Office, by_owner};

fn name() -> String {
    format!("{CLASS}/joinUrl")
}

async fn get(office: &Office) -> JoinUrl {
    let request = GetJoinUrlRequest { name: name() };
    let answer = office.join_urls.get_join_url(by_owner(request)).await;
    answer.unwrap().into_inner()
}

async fn switch(office: &Office, enabled: bool) -> JoinUrl {
    let request = UpdateJoinUrlRequest {
        join_url: Some(JoinUrl {
            name: name(),
            enabled,
            ..JoinUrl::default()
        }),
        update_mask: Some(FieldMask {
            paths: vec!["enabled".to_owned()],
        }),
        ..UpdateJoinUrlRequest::default()
    };
    let answer = office.join_urls.update_join_url(by_owner(request)).await;
    answer.unwrap().into_inner()
}

#[tokio::test]
async fn c12_the_address_never_changes_and_is_switched_off_and_on() {
    let office = Office::open().await;
    let made = get(&office).await;
    assert!(made.enabled && made.may_be_public);
    assert!(made.url.starts_with("https://join.example/j/"));

    let off = switch(&office, false).await;
    assert!(!off.enabled);
    assert_eq!(off.url, made.url);
    assert_eq!(
        office.membership.fence(&name()),
        2,
        "off is answered once nobody is queued by it"
    );

    let on = switch(&office, true).await;
    assert!(on.enabled);
    assert_eq!(on.url, made.url);
    assert_eq!(office.membership.fence(&name()), 2, "on shuts nobody out");
    assert_eq!(
        office.event_types().await,
        ["join_url.created", "join_url.updated", "join_url.updated"]
    );
}

#[tokio::test]
async fn switching_to_what_it_is_changes_nothing() {
    let office = Office::open().await;
    let made = get(&office).await;
    assert_eq!(switch(&office, true).await, made);
    assert_eq!(office.event_types().await, ["join_url.created"]);
}
