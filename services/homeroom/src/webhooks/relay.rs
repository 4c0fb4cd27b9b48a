//! What reading for an endpoint and delivering to it share.

use homeroom_kit::{SharedClock, SharedRandomness, http_client::HttpClient};
use tokio::sync::Notify;

use super::{config::Endpoint, feed::Feeds, payload::Payloads, store::Store};

/// Reads the feeds of an endpoint, and delivers to it.
pub(crate) struct Relay {
    pub(crate) endpoint: Endpoint,
    pub(crate) store: Store,
    pub(crate) feeds: Feeds,
    pub(crate) payloads: Payloads,
    pub(crate) client: HttpClient,
    pub(crate) clock: SharedClock,
    pub(crate) random: SharedRandomness,
    /// Tells of recorded deliveries.
    pub(crate) recorded: Notify,
}
