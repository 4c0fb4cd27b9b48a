//! The connections and credentials of one caller.

use std::{net::SocketAddr, time::Duration};

use tonic::{
    Request,
    metadata::{Ascii, MetadataValue},
    transport::Channel,
};

/// Adds the caller's access token, the user for whom it acts, and its deadline to every call.
#[derive(Debug, Clone)]
pub struct Credentials {
    pub(crate) authorization: MetadataValue<Ascii>,
    pub(crate) acting_user: Option<MetadataValue<Ascii>>,
    pub(crate) timeout: Option<Duration>,
}

impl Credentials {
    pub(crate) fn new(authorization: &str, acting_user: &str) -> Self {
        Self {
            authorization: authorization.parse().unwrap(),
            acting_user: (!acting_user.is_empty()).then(|| acting_user.parse().unwrap()),
            timeout: None,
        }
    }

    pub(crate) fn add_to<T>(&self, request: &mut Request<T>) {
        if let Some(timeout) = self.timeout {
            request.set_timeout(timeout);
        }
        let metadata = request.metadata_mut();
        metadata.insert("authorization", self.authorization.clone());
        if let Some(user) = &self.acting_user {
            metadata.insert("x-homeroom-user", user.clone());
        }
    }
}

/// A caller of both services.
#[derive(Debug, Clone)]
pub struct Clients {
    pub(crate) channels: [Channel; 2],
    pub(crate) credentials: Credentials,
}

impl Clients {
    /// Returns clients of two services on new connections, with this access token.
    #[must_use]
    pub fn connect(membership: SocketAddr, invitations: SocketAddr, access_token: &str) -> Self {
        let [membership, invitations] = [membership, invitations].map(crate::channel);
        Self::on(&membership, &invitations, access_token)
    }

    /// Returns clients of two services on these connections, with this access token.
    #[must_use]
    pub fn on(membership: &Channel, invitations: &Channel, access_token: &str) -> Self {
        let credentials = Credentials::new(&format!("Bearer {access_token}"), "");
        let channels = [membership.clone(), invitations.clone()];
        Self {
            channels,
            credentials,
        }
    }

    /// Returns the same caller acting for this user.
    #[must_use]
    pub fn acting_for(&self, user: &str) -> Self {
        let mut acting = self.clone();
        acting.credentials.acting_user = Some(user.parse().unwrap());
        acting
    }

    /// Returns the same caller, with this deadline for each call.
    #[must_use]
    pub fn with_timeout(&self, timeout: Duration) -> Self {
        let mut hurried = self.clone();
        hurried.credentials.timeout = Some(timeout);
        hurried
    }
}
