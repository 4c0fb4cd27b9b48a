//! `EventService`: the kit's feed, over this service's events (R11).

use homeroom_api::{
    common::v1::{ListEventsRequest, ListEventsResponse, WatchEventsRequest},
    invitations::v1::event_service_server::EventService,
};
use homeroom_kit::events::{EventFeed, WatchStream};
use tonic::{Request, Response, Status};

/// Handlers of `EventService`.
#[derive(Debug, Clone)]
pub struct EventHandlers(pub EventFeed);

#[tonic::async_trait]
impl EventService for EventHandlers {
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
