//! `EventService`: the kit's feed over this service's events.

use homeroom_api::{
    common::v1::{ListEventsRequest, ListEventsResponse, WatchEventsRequest},
    membership::v1::event_service_server::EventService,
};
use homeroom_kit::events::{EventFeed, WatchStream};
use tonic::{Request, Response, Status, async_trait};

/// The service over the feed.
#[derive(Debug, Clone)]
pub(crate) struct EventApi(pub(crate) EventFeed);

#[async_trait]
impl EventService for EventApi {
    type WatchEventsStream = WatchStream;

    async fn list_events(
        &self,
        request: Request<ListEventsRequest>,
    ) -> Result<Response<ListEventsResponse>, Status> {
        self.0.list(request).await
    }

    async fn watch_events(
        &self,
        request: Request<WatchEventsRequest>,
    ) -> Result<Response<WatchStream>, Status> {
        self.0.watch(request).await
    }
}
