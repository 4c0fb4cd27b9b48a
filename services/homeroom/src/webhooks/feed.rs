//! The feeds of the two services, as any other consumer reads them.

use std::{path::PathBuf, time::Duration};

use homeroom_api::{
    common::v1::{ErrorReason, ListEventsRequest, ListEventsResponse},
    invitations::v1::event_service_client::EventServiceClient as InvitationsClient,
    membership::v1::event_service_client::EventServiceClient as MembershipClient,
};
use homeroom_kit::{key_files::read_text, status::code_name};
use tonic::{Request, Status, transport::Channel};

use super::arguments::RunArguments;
use crate::{Failure, connect::channel, dynamic::reason_of};

/// The longest time that a service may take to connect, and to answer a page, in seconds.
const PAGE_SECONDS_MAX: u64 = 10;

/// A feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Feed {
    Membership,
    Invitations,
}

impl Feed {
    pub(crate) const ALL: [Self; 2] = [Self::Membership, Self::Invitations];

    /// Returns the name of its service.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Membership => "membership",
            Self::Invitations => "invitations",
        }
    }
}

/// The reason why a page cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FeedError {
    /// The service does not know the position: a key was removed, or a database restored.
    #[error("the position is not valid any more")]
    UnknownPosition,
    /// Events after the position were deleted before they were read; the service's words.
    #[error("{0}")]
    Pruned(String),
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

impl From<Status> for FeedError {
    fn from(status: Status) -> Self {
        let reason = reason_of(&status);
        if reason == ErrorReason::InvalidPageToken.as_str_name() {
            return Self::UnknownPosition;
        }
        if reason == ErrorReason::PageTokenExpired.as_str_name() {
            return Self::Pruned(status.message().to_owned());
        }
        let code = code_name(status.code());
        Self::Other(format!("{code}: {}", status.message()))
    }
}

/// The clients of both services.
#[derive(Debug, Clone)]
pub(crate) struct Feeds {
    membership: MembershipClient<Channel>,
    invitations: InvitationsClient<Channel>,
    token_file: PathBuf,
}

impl Feeds {
    /// Connects on first use. Must be called within a runtime.
    pub(crate) fn new(arguments: &RunArguments) -> Result<Self, Failure> {
        let patience = Duration::from_secs(PAGE_SECONDS_MAX);
        let to = |address| channel(address, &arguments.tls, patience);
        Ok(Self {
            membership: MembershipClient::new(to(&arguments.membership)?),
            invitations: InvitationsClient::new(to(&arguments.invitations)?),
            token_file: arguments.token_file.clone(),
        })
    }

    /// Reads a page of a feed.
    pub(crate) async fn list(
        &self,
        feed: Feed,
        parent: &str,
        page_size: usize,
        page_token: String,
    ) -> Result<ListEventsResponse, FeedError> {
        let mut request = Request::new(ListEventsRequest {
            parent: parent.to_owned(),
            page_size: i32::try_from(page_size).unwrap_or(i32::MAX),
            page_token,
        });
        // Read each time, since a token expires and is replaced.
        let path = self.token_file.display();
        let token = read_text(&self.token_file)
            .map_err(|error| FeedError::Other(format!("{path} cannot be read: {error}")))?;
        let bearer = format!("Bearer {}", token.trim()).parse();
        let bearer = bearer.map_err(|_| FeedError::Other(format!("{path} has no access token")))?;
        request.metadata_mut().insert("authorization", bearer);
        let answer = match feed {
            Feed::Membership => self.membership.clone().list_events(request).await,
            Feed::Invitations => self.invitations.clone().list_events(request).await,
        };
        Ok(answer?.into_inner())
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use homeroom_kit::{Error, events::page_token_expired, paging::not_of_this_list};

    use super::*;

    #[test]
    fn a_position_that_is_lost_is_told_from_one_whose_events_were_deleted() {
        let of = |error: Error| FeedError::from(Status::from(error));
        assert!(matches!(of(not_of_this_list()), FeedError::UnknownPosition));
        let FeedError::Pruned(cause) = of(page_token_expired(DateTime::UNIX_EPOCH)) else {
            panic!("it is not told");
        };
        assert!(cause.contains("1970-01-01"), "{cause}");
        let other = Error::unavailable(ErrorReason::Overloaded, "Retry later.");
        assert!(matches!(of(other), FeedError::Other(_)));
    }
}
