//! Creates organizations with one class each through the API.

use std::net::SocketAddr;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use homeroom_api::{
    invitations::v1::{GetClassCodeRequest, class_code_service_client::ClassCodeServiceClient},
    membership::v1::{
        Class, CreateClassRequest, CreateOrganizationRequest, Organization,
        class_service_client::ClassServiceClient,
        organization_service_client::OrganizationServiceClient,
    },
};
use serde_json::{Value, json};
use tonic::transport::Channel;

use crate::{
    Failure,
    homeroom::{Credentials, connect},
};

/// The number of organizations that are created concurrently.
const AT_ONCE: usize = 16;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The address of membership.
    #[arg(long)]
    membership: SocketAddr,
    /// The address of invitations.
    #[arg(long)]
    invitations: SocketAddr,
    /// The file of an access token with the scopes `homeroom.platform` and `homeroom.act_as`.
    #[arg(long)]
    token_file: std::path::PathBuf,
    /// The prefix of the organizations' ids.
    #[arg(long)]
    prefix: String,
    /// The number of organizations.
    #[arg(long)]
    organizations: u32,
}

#[derive(Debug, Clone)]
struct Staff {
    organizations: OrganizationServiceClient<Channel>,
    classes: ClassServiceClient<Channel>,
    class_codes: ClassCodeServiceClient<Channel>,
    credentials: Credentials,
}

impl Staff {
    /// Creates an organization and its class, and returns the class's code.
    async fn create(mut self, id: String) -> Result<String, Failure> {
        let admin = format!("admin-{id}");
        let organization = CreateOrganizationRequest {
            organization_id: id.clone(),
            organization: Some(Organization {
                display_name: id.clone(),
                ..Default::default()
            }),
            admin: admin.clone(),
            ..Default::default()
        };
        let request = self.credentials.request("platform", organization)?;
        self.organizations.create_organization(request).await?;
        let class = CreateClassRequest {
            parent: format!("organizations/{id}"),
            class_id: "biology".to_owned(),
            class: Some(Class {
                display_name: "Biology".to_owned(),
                ..Default::default()
            }),
            ..Default::default()
        };
        let request = self.credentials.request(&admin, class)?;
        self.classes.create_class(request).await?;
        let code = GetClassCodeRequest {
            name: format!("organizations/{id}/classes/biology/classCode"),
        };
        let request = self.credentials.request(&admin, code)?;
        let code = self.class_codes.get_class_code(request).await?;
        Ok(code.into_inner().code)
    }
}

pub(crate) async fn run(arguments: &Arguments) -> Result<Value, Failure> {
    let [membership, invitations] = [
        connect(arguments.membership).await?,
        connect(arguments.invitations).await?,
    ];
    let staff = Staff {
        organizations: OrganizationServiceClient::new(membership.clone()),
        classes: ClassServiceClient::new(membership),
        class_codes: ClassCodeServiceClient::new(invitations),
        credentials: Credentials::read(&arguments.token_file)?,
    };
    let codes: Vec<String> = stream::iter(0..arguments.organizations)
        .map(|number| {
            staff
                .clone()
                .create(format!("{}-{number}", arguments.prefix))
        })
        // The order is kept: the nth code belongs to the nth organization.
        .buffered(AT_ONCE)
        .try_collect()
        .await?;
    Ok(json!(codes))
}
