//! `homeroom webhooks run`: reads the feeds and delivers until it is told to stop.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use anstream::println;
use homeroom_kit::{
    SharedClock, clock::SystemClock, http_client::HttpClient, key_files::write_if_missing,
    random::SystemRandomness, shutdown::Shutdown, telemetry,
};
use tokio::{
    sync::Notify,
    task::{JoinError, JoinSet},
    time::sleep,
};

use super::{
    arguments::RunArguments,
    config::{self, Endpoint},
    feed::{Feed, Feeds},
    payload::Payloads,
    relay::Relay,
    store::{Store, WEBHOOKS_DATABASE_FILE},
};
use crate::{Failure, data_folder::DataFolder, serve::start_logs};

/// The interval at which old dead letters are deleted, in seconds.
const PRUNE_SECONDS: u64 = 3_600;

pub(super) async fn run(arguments: &RunArguments) -> Result<(), Failure> {
    start_logs()?;
    let shutdown = Shutdown::on_signals()?;
    let endpoints = config::load(&arguments.config)?;
    let feeds = Feeds::new(arguments)?;
    let tls = endpoints.iter().any(Endpoint::is_https);
    let client = HttpClient::new(tls)?;
    let payloads = Payloads::load()?;
    let folder = DataFolder::open_or_create(&arguments.folder.data)?;
    let _taken = folder.lock()?;
    // SQLite treats an empty file as a new database, and gives its companion files the same mode.
    write_if_missing(&folder.file(WEBHOOKS_DATABASE_FILE), "")?;
    let store = Store::open(folder.path()).await?;
    warn_of_others(&store, &endpoints).await?;
    let clock: SharedClock = Arc::new(SystemClock);
    let mut relays = JoinSet::new();
    for endpoint in endpoints {
        let relay = Relay {
            endpoint,
            store: store.clone(),
            feeds: feeds.clone(),
            payloads: payloads.clone(),
            client: client.clone(),
            clock: Arc::clone(&clock),
            random: Arc::new(SystemRandomness),
            recorded: Notify::new(),
        };
        relays.spawn(follow_and_deliver(Arc::new(relay), shutdown.clone()));
    }
    println!("delivering to {} endpoints; Ctrl-C ends it.", relays.len());
    let pruning = shutdown.unless_begun(prune(&store, &clock));
    tokio::select! {
        _ = pruning => {}
        // A relay ends before the order only if it has failed; then the others end too.
        Some(ended) = relays.join_next() => {
            shutdown.begin();
            ended??;
        }
    }
    while let Some(ended) = relays.join_next().await {
        ended??;
    }
    telemetry::flush().await;
    Ok(())
}

/// Reads the feeds of an endpoint and delivers to it.
async fn follow_and_deliver(relay: Arc<Relay>, shutdown: Shutdown) -> Result<(), JoinError> {
    let follow = |feed| shutdown.unless_begun(relay.follow(feed));
    let [membership, invitations] = Feed::ALL.map(follow);
    let delivering = Arc::clone(&relay).deliver(shutdown.clone());
    let (_, _, ended) = tokio::join!(membership, invitations, delivering);
    ended
}

/// Deletes old dead letters for as long as it runs.
async fn prune(store: &Store, clock: &SharedClock) {
    loop {
        match store.prune(clock.now()).await {
            Ok(0) => {}
            Ok(count) => tracing::warn!(count, "old dead letters were deleted"),
            Err(error) => tracing::error!(%error, "old dead letters cannot be deleted"),
        }
        sleep(Duration::from_secs(PRUNE_SECONDS)).await;
    }
}

/// Warns of what is kept for endpoints that the file does not have any more.
async fn warn_of_others(store: &Store, endpoints: &[Endpoint]) -> sqlx::Result<()> {
    let known: BTreeSet<&str> = endpoints.iter().map(|one| one.id.as_str()).collect();
    for (endpoint, deliveries) in store.endpoints().await? {
        if !known.contains(endpoint.as_str()) {
            tracing::warn!(
                endpoint,
                deliveries,
                "deliveries wait for an endpoint that the file does not have"
            );
        }
    }
    Ok(())
}
