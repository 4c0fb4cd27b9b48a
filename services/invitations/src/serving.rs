//! The service served until its shutdown, and then stopped in order.

use std::sync::Arc;

use homeroom_api::invitations::v1::{
    audit_service_server::AuditServiceServer, class_code_service_server::ClassCodeServiceServer,
    enrollment_code_service_server::EnrollmentCodeServiceServer,
    event_service_server::EventServiceServer, join_url_service_server::JoinUrlServiceServer,
    redemption_service_server::RedemptionServiceServer, token_service_server::TokenServiceServer,
    user_service_server::UserServiceServer,
};
use homeroom_kit::{
    events::EventFeed,
    metrics::{self, MetricsServer},
    server::{Ending, ServeError, ServerOptions, Services, serve},
    shutdown::Shutdown,
    tuned,
};
use tokio::net::TcpListener;

use crate::{
    SERVICE,
    app::{App, workers},
    grpc::{
        AuditHandlers, ClassCodeHandlers, EnrollmentCodeHandlers, EventHandlers, JoinUrlHandlers,
        TokenHandlers, UserHandlers, redemption_service::RedemptionHandlers,
    },
    store::Store,
};

/// Serves until the shutdown, and then ends the rest in the order in which it depends on itself,
/// all of it within [`homeroom_kit::shutdown::STOP_SECONDS_MAX`].
pub(crate) async fn serve_until(
    app: Arc<App>,
    listener: TcpListener,
    options: ServerOptions,
    pauses: workers::Pauses,
    metrics: Option<MetricsServer>,
    shutdown: Shutdown,
) -> Result<(), ServeError> {
    let feed = EventFeed::new(
        SERVICE,
        app.store.feed(),
        app.clone(),
        app.paging.clone(),
        shutdown.clone(),
    );
    let services = Services::new()
        .await
        .add_service(tuned!(TokenServiceServer::new(TokenHandlers(app.clone()))))
        .add_service(tuned!(EnrollmentCodeServiceServer::new(
            EnrollmentCodeHandlers(app.clone())
        )))
        .add_service(tuned!(ClassCodeServiceServer::new(ClassCodeHandlers(
            app.clone()
        ))))
        .add_service(tuned!(JoinUrlServiceServer::new(JoinUrlHandlers(
            app.clone()
        ))))
        .add_service(tuned!(RedemptionServiceServer::new(
            RedemptionHandlers::new(app.clone())
        )))
        .add_service(tuned!(AuditServiceServer::new(AuditHandlers(app.clone()))))
        .add_service(tuned!(UserServiceServer::new(UserHandlers(app.clone()))))
        .add_service(tuned!(EventServiceServer::new(EventHandlers(feed))));

    // Workers stop with the calls, the publisher once nothing is written any more.
    let stopping = Shutdown::new();
    let all_written = Shutdown::new();
    let mut workers = workers::start(&app, pauses, &stopping);
    let publisher = tokio::spawn(publish(Arc::clone(&app.store), all_written.clone()));
    let metrics = tokio::spawn(metrics::serve(metrics, all_written.clone()));
    let store = Arc::clone(&app.store);
    let health = tokio::spawn(services.health().follow(stopping.clone(), move || {
        let store = Arc::clone(&store);
        async move {
            let checked = store.check_ready().await;
            if let Err(error) = &checked {
                tracing::warn!(%error, "not ready");
            }
            checked.is_ok()
        }
    }));
    let stop_workers = {
        let stopping = stopping.clone();
        let shutdown = shutdown.clone();
        tokio::spawn(async move {
            shutdown.wait().await;
            stopping.begin();
        })
    };

    let served = serve(listener, options, services, shutdown.clone()).await;

    // A server that failed by itself ends everything else too.
    shutdown.begin();
    stopping.begin();
    stop_workers.abort();
    let mut ending = Ending::of(&shutdown);
    let worked = async { while workers.join_next().await.is_some() {} };
    ending.step("workers", worked).await;
    // What is left of them recovery finishes at the next start.
    ending.step("writes", app.writes.finished()).await;
    all_written.begin();
    for (what, task) in [
        ("events to publish", publisher),
        ("health", health),
        ("metrics", metrics),
    ] {
        let ended = async {
            if let Err(failure) = task.await {
                tracing::error!(%failure, what, "a background task failed");
            }
        };
        ending.step(what, ended).await;
    }
    ending.step("database connections", app.store.close()).await;
    ending.ended(served)
}

async fn publish(store: Arc<dyn Store>, shutdown: Shutdown) {
    store.publish_events_until(shutdown).await;
}
