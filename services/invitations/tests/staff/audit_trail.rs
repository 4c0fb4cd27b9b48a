//! R12: the trail says who read or changed which invitation, and no secret is told without an entry.

use chrono::TimeDelta;
use homeroom_api::{
    common::v1::ErrorReason,
    invitations::v1::{
        AuditEntry, BatchCreateTokensRequest, CreateTokenRequest, GetClassCodeRequest,
        GetJoinUrlRequest, ListAuditEntriesRequest, ListAuditEntriesResponse,
        ResetClassCodeRequest, Token, audit_service_server::AuditService as _,
        class_code_service_server::ClassCodeService as _,
        join_url_service_server::JoinUrlService as _, token_service_server::TokenService as _,
    },
};
use homeroom_invitations::{
    app::retention::{AUDIT_ENTRIES_DAYS_DEFAULT, Retention},
    grpc::audit_service::AuditHandlers,
};
use tonic::Status;

use crate::world::{CLASS, REQUEST, World, by, reason};

async fn list(world: &World, filter: &str) -> Result<ListAuditEntriesResponse, Status> {
    let request = ListAuditEntriesRequest {
        parent: CLASS.to_owned(),
        filter: filter.to_owned(),
        ..Default::default()
    };
    let handlers = AuditHandlers(world.app.clone());
    let answer = handlers.list_audit_entries(by("tess", request)).await;
    answer.map(tonic::Response::into_inner)
}

/// Returns all entries of the class so far, oldest first.
async fn entries(world: &World) -> Vec<AuditEntry> {
    let mut entries = list(world, "").await.unwrap().audit_entries;
    entries.reverse();
    entries
}

async fn read(world: &World, user: &str) -> Result<(), Status> {
    world.advance(TimeDelta::milliseconds(1));
    let name = format!("{CLASS}/classCode");
    let get = by(user, GetClassCodeRequest { name });
    world.class_codes.get_class_code(get).await.map(drop)
}

async fn reset(world: &World, etag: &str) -> Result<(), Status> {
    let request = ResetClassCodeRequest {
        name: format!("{CLASS}/classCode"),
        etag: etag.to_owned(),
        ..Default::default()
    };
    let reset = world.class_codes.reset_class_code(by("tess", request));
    reset.await.map(drop)
}

#[tokio::test]
async fn r12_a_batch_has_an_entry_for_each_invitation_and_its_retry_one_for_what_it_shows_again() {
    let world = World::new().await;
    let row = CreateTokenRequest {
        token: Some(Token::default()),
        ..Default::default()
    };
    let batch = BatchCreateTokensRequest {
        parent: CLASS.to_owned(),
        requests: vec![row; 3],
        request_id: REQUEST.to_owned(),
    };
    for count in [3, 4] {
        world.advance(TimeDelta::milliseconds(1));
        let made = world.tokens.batch_create_tokens(by("tess", batch.clone()));
        made.await.unwrap();
        assert_eq!(entries(&world).await.len(), count);
    }
    let last = entries(&world).await.remove(3);
    assert_eq!(last.subject, CLASS, "one, which names the place");
}

#[tokio::test]
async fn r12_what_is_refused_or_undone_leaves_no_entry() {
    let world = World::new().await;
    let refused = read(&world, "sam").await;
    assert_eq!(reason(refused), ErrorReason::RoleRequired);
    let refused = reset(&world, "\"99\"").await;
    assert_eq!(reason(refused), ErrorReason::EtagMismatch);
    assert_eq!(entries(&world).await, []);
}

#[tokio::test]
async fn r12_no_secret_is_told_where_no_entry_can_be_written() {
    let world = World::new().await;
    read(&world, "tess").await.unwrap();
    let rename = "ALTER TABLE audit_entries RENAME TO gone";
    world.tamper(rename).await;
    for _ in 0..2 {
        let answer = read(&world, "tess").await;
        assert_eq!(answer.unwrap_err().code(), tonic::Code::Internal);
    }
    assert!(reset(&world, "").await.is_err(), "nor is anything changed");
    let back = "ALTER TABLE gone RENAME TO audit_entries";
    world.tamper(back).await;
    read(&world, "tess").await.unwrap();
    assert_eq!(entries(&world).await.len(), 2);
    assert_eq!(world.event_types().await, ["class_code.created"]);
}

#[tokio::test]
async fn r12_reads_that_arrive_together_are_all_entered() {
    let world = World::new().await;
    read(&world, "tess").await.unwrap();
    let reads = (0..40).map(|_| read(&world, "tess"));
    for answer in futures::future::join_all(reads).await {
        answer.unwrap();
    }
    assert_eq!(entries(&world).await.len(), 41);
}

#[tokio::test]
async fn r12_entries_are_filtered_and_kept_for_400_days() {
    let world = World::new().await;
    for () in [(); 3] {
        read(&world, "tess").await.unwrap();
    }
    world.advance(TimeDelta::seconds(1));
    read(&world, "cora").await.unwrap();
    world.advance(TimeDelta::milliseconds(1));
    let name = format!("{CLASS}/joinUrl");
    let get = by("tess", GetJoinUrlRequest { name });
    world.join_urls.get_join_url(get).await.unwrap();
    let all = entries(&world).await;
    assert_eq!(all.len(), 5);
    let (code, url) = (&all[0].method, &all[4].method);
    for (filter, count) in [
        ("actor = cora".to_owned(), 1),
        (format!("method = \"{code}\""), 4),
        (format!("subject = \"{CLASS}/classCode\""), 4),
        ("subject = nothing".to_owned(), 0),
        ("subject = \"\"".to_owned(), 0),
        ("actor = tess AND actor = cora".to_owned(), 0),
        (format!("actor = tess AND method = \"{url}\""), 1),
        ("create_time >= \"2027-01-15T08:00:01Z\"".to_owned(), 2),
        ("create_time < \"2027-01-15T08:00:01Z\"".to_owned(), 3),
    ] {
        let page = list(&world, &filter).await.unwrap();
        assert_eq!(page.audit_entries.len(), count, "{filter}");
    }
    for filter in [
        "actor != tess",
        "code = x",
        "create_time = \"2027-01-15T08:00:01Z\"",
    ] {
        let refused = list(&world, filter).await;
        assert_eq!(reason(refused), ErrorReason::InvalidFilter, "{filter}");
    }
    world.advance(TimeDelta::days(AUDIT_ENTRIES_DAYS_DEFAULT.into()));
    assert_eq!(
        world
            .app
            .prune_logs_once(&Retention::default())
            .await
            .unwrap(),
        4
    );
    world.advance(TimeDelta::milliseconds(1));
    assert_eq!(
        world
            .app
            .prune_logs_once(&Retention::default())
            .await
            .unwrap(),
        1
    );
}
