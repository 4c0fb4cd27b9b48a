//! The two services as processes.

use std::{collections::BTreeMap, net::SocketAddr};

use homeroom_api::{
    common::v1::Role,
    invitations::v1::ListEnrollmentCodesRequest,
    membership::v1::{AddOrganizationMemberRequest, Class, CreateClassRequest, ListClassesRequest},
};
use homeroom_attacks::{attacks::Target, frames::whole_message};
use homeroom_tests::{
    Claims, Clients, Engine, School,
    databases::Databases,
    member,
    processes::{Processes, Service},
};
use prost::Message as _;

/// The number of classes with the most labels, so that a list of them is a large answer.
const FAT_CLASSES: usize = 40;
/// A member of staff, who may request large answers.
const ATTACKER: &str = "attacker";
/// The most labels of a class, and the characters of each.
const LABELS: usize = 64;
const LABEL_CHARS: usize = 63;
/// The services, membership first.
const SERVICES: [Service; 2] = [Service::Membership, Service::Invitations];

/// Running services.
pub struct Served(Processes);

impl Served {
    /// Starts both on SQLite.
    pub async fn start() -> Self {
        let mut processes = Processes::on(Databases::create(Engine::Sqlite).await);
        for service in SERVICES {
            let quiet = ["env", "RUST_LOG=off"].map(str::to_owned);
            processes = processes.with_wrapper(service, quiet.into());
        }
        processes.launch_both().await;
        Self(processes)
    }

    /// Returns their process ids.
    pub fn ids(&self) -> [u32; 2] {
        SERVICES.map(|service| self.0.id(service))
    }

    /// Returns true if both are still running.
    pub fn run(&mut self) -> bool {
        SERVICES.into_iter().all(|service| self.0.runs(service))
    }

    /// Returns their addresses.
    pub fn addresses(&self) -> [SocketAddr; 2] {
        SERVICES.map(|service| self.0.address(service))
    }

    /// Returns an access token.
    pub fn token(&self, user: &str, scopes: &[&str]) -> String {
        self.0.callers().access_token(Claims {
            scopes,
            ..Claims::of(user)
        })
    }

    fn clients(&self, user: &str, scopes: &[&str]) -> Clients {
        let [membership, invitations] = self.addresses();
        Clients::connect(membership, invitations, &self.token(user, scopes))
    }

    /// Creates a school with a class for good callers, and others whose list is a large answer.
    pub async fn school(&self) -> School {
        let school = School::create("hamilton", 0, |claims| {
            self.clients(claims.subject, claims.scopes)
        })
        .await;
        let add = AddOrganizationMemberRequest {
            parent: school.organization.clone(),
            member: Some(member(ATTACKER, Role::Admin)),
            ..Default::default()
        };
        let mut members = school.admin.clone().members;
        members.add_organization_member(add).await.unwrap();
        let labels: BTreeMap<String, String> = (0..LABELS)
            .map(|number| {
                (
                    format!("{:a<LABEL_CHARS$}", format!("l{number}")),
                    "€".repeat(LABEL_CHARS),
                )
            })
            .collect();
        for number in 0..FAT_CLASSES {
            let request = CreateClassRequest {
                parent: school.organization.clone(),
                class_id: format!("fat-{number}"),
                class: Some(Class {
                    display_name: format!("fat-{number}"),
                    labels: labels.clone(),
                    ..Default::default()
                }),
                ..Default::default()
            };
            let mut classes = school.teacher.clone().classes;
            classes.create_class(request).await.unwrap();
        }
        school
    }

    /// Returns each service with a large request that an attacker on the staff may make.
    pub fn targets(&self) -> Vec<Target> {
        let token = self.token(ATTACKER, &[]);
        let [membership, invitations] = self.addresses();
        let classes = ListClassesRequest {
            parent: "organizations/hamilton".to_owned(),
            page_size: 1_000,
            ..Default::default()
        };
        let codes = ListEnrollmentCodesRequest {
            parent: "organizations/hamilton".to_owned(),
            page_size: 1_000,
            ..Default::default()
        };
        vec![
            Target {
                address: membership,
                token: token.clone(),
                path: "/homeroom.membership.v1.ClassService/ListClasses",
                request: whole_message(&classes.encode_to_vec()),
            },
            Target {
                address: invitations,
                token,
                path: "/homeroom.invitations.v1.EnrollmentCodeService/ListEnrollmentCodes",
                request: whole_message(&codes.encode_to_vec()),
            },
        ]
    }

    /// Stops them.
    pub async fn stop(self) {
        self.0.stop().await;
    }
}
