//! gRPC clients of both services for one caller.

use std::{net::SocketAddr, time::Duration};

use homeroom_api::{invitations::v1 as invitations, membership::v1 as membership};
use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
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

impl Interceptor for Credentials {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        self.add_to(&mut request);
        Ok(request)
    }
}

type Authenticated = InterceptedService<Channel, Credentials>;

macro_rules! clients {
    ($membership:ident, $invitations:ident: $($field:ident $package:ident $module:ident $client:ident,)*) => {
        /// Clients of every service of the contract, for one caller.
        #[derive(Debug, Clone)]
        pub struct Clients {
            pub(crate) channels: [Channel; 2],
            pub(crate) credentials: Credentials,
            $(
                #[expect(missing_docs, reason = "the field is named after its service")]
                pub $field: $package::$module::$client<Authenticated>,
            )*
        }

        impl Clients {
            pub(crate) fn new(channels: [Channel; 2], credentials: Credentials) -> Self {
                let [$membership, $invitations] = &channels;
                $(
                    let $field = $package::$module::$client::with_interceptor($package.clone(), credentials.clone());
                )*
                Self { $($field,)* channels, credentials }
            }
        }
    };
}

clients! {
    membership, invitations:
    organizations membership organization_service_client OrganizationServiceClient,
    classes membership class_service_client ClassServiceClient,
    members membership member_service_client MemberServiceClient,
    join_requests membership join_request_service_client JoinRequestServiceClient,
    admissions membership admission_service_client AdmissionServiceClient,
    membership_users membership user_service_client UserServiceClient,
    membership_events membership event_service_client EventServiceClient,
    tokens invitations token_service_client TokenServiceClient,
    enrollment_codes invitations enrollment_code_service_client EnrollmentCodeServiceClient,
    class_codes invitations class_code_service_client ClassCodeServiceClient,
    join_urls invitations join_url_service_client JoinUrlServiceClient,
    redemptions invitations redemption_service_client RedemptionServiceClient,
    audits invitations audit_service_client AuditServiceClient,
    users invitations user_service_client UserServiceClient,
    invitations_events invitations event_service_client EventServiceClient,
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
        Self::new([membership.clone(), invitations.clone()], credentials)
    }

    /// Returns the same caller acting for this user.
    #[must_use]
    pub fn acting_for(&self, user: &str) -> Self {
        let acting_user = Some(user.parse().unwrap());
        let credentials = Credentials {
            acting_user,
            ..self.credentials.clone()
        };
        Self::new(self.channels.clone(), credentials)
    }

    /// Returns the same caller, with this deadline for each call.
    #[must_use]
    pub fn with_timeout(&self, timeout: Duration) -> Self {
        let credentials = Credentials {
            timeout: Some(timeout),
            ..self.credentials.clone()
        };
        Self::new(self.channels.clone(), credentials)
    }
}
