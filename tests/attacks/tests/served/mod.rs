//! The services as separate processes: two, or one.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use homeroom_api::{
    common::v1::Role,
    invitations::v1::ListEnrollmentCodesRequest,
    membership::v1::{AddOrganizationMemberRequest, Class, CreateClassRequest, ListClassesRequest},
};
use homeroom_attacks::{attacks::Target, frames::whole_message};
use homeroom_tests::{
    Claims, Clients, Engine, School,
    databases::Databases,
    free_address, member,
    processes::{Processes, Service, binary},
};
use prost::Message as _;
use tokio::{net::TcpStream, time::Instant};

/// The time within which `homeroom serve` must serve.
const START: Duration = Duration::from_mins(1);
/// The number of classes with the most labels, so that a list of them is a large answer.
const FAT_CLASSES: usize = 40;
/// A member of staff, who may request large answers.
const ATTACKER: &str = "attacker";
/// The most labels of a class, and the characters of each.
const LABELS: usize = 64;
const LABEL_CHARS: usize = 63;

/// Running services.
pub enum Served {
    /// `membership` and `invitations`.
    Two(Box<Processes>),
    /// `homeroom serve`.
    One {
        /// The process.
        child: Child,
        /// Its data folder.
        data: tempfile::TempDir,
        /// The addresses of membership and invitations.
        addresses: [SocketAddr; 2],
    },
}

impl Served {
    /// Starts two services on SQLite.
    pub async fn two_services() -> Self {
        let mut processes = Processes::on(Databases::create(Engine::Sqlite).await);
        for service in [Service::Membership, Service::Invitations] {
            let quiet = ["env", "RUST_LOG=off"].map(str::to_owned);
            processes = processes.with_wrapper(service, quiet.into());
        }
        processes.launch_both().await;
        Self::Two(Box::new(processes))
    }

    /// Starts `homeroom serve`.
    pub async fn one_process() -> Self {
        let data = tempfile::tempdir().unwrap();
        let addresses = [free_address(), free_address()];
        let child = Command::new(binary("homeroom"))
            .env_clear()
            .arg("serve")
            .arg("--data")
            .arg(data.path())
            .args(["--membership", &addresses[0].to_string()])
            .args(["--invitations", &addresses[1].to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let deadline = Instant::now() + START;
        while TcpStream::connect(addresses[1]).await.is_err() {
            assert!(Instant::now() < deadline, "homeroom serve does not serve");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Self::One {
            child,
            data,
            addresses,
        }
    }

    /// Returns the name of each process.
    pub fn names(&self) -> Vec<&'static str> {
        match self {
            Self::Two(_) => vec!["membership", "invitations"],
            Self::One { .. } => vec!["homeroom serve"],
        }
    }

    /// Returns their process ids.
    pub fn ids(&self) -> Vec<u32> {
        match self {
            Self::Two(processes) => [Service::Membership, Service::Invitations]
                .map(|service| processes.id(service))
                .into(),
            Self::One { child, .. } => vec![child.id()],
        }
    }

    /// Returns true if all are still running.
    pub fn run(&mut self) -> bool {
        match self {
            Self::Two(processes) => [Service::Membership, Service::Invitations]
                .into_iter()
                .all(|service| processes.runs(service)),
            Self::One { child, .. } => child.try_wait().unwrap().is_none(),
        }
    }

    /// Returns the addresses of membership and invitations.
    pub fn addresses(&self) -> [SocketAddr; 2] {
        match self {
            Self::Two(processes) => [Service::Membership, Service::Invitations]
                .map(|service| processes.address(service)),
            Self::One { addresses, .. } => *addresses,
        }
    }

    /// Returns an access token.
    pub fn token(&self, user: &str, scopes: &[&str]) -> String {
        match self {
            Self::Two(processes) => processes.callers().access_token(Claims {
                scopes,
                ..Claims::of(user)
            }),
            Self::One { data, .. } => minted(data.path(), user, scopes),
        }
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
        match self {
            Self::Two(processes) => processes.stop().await,
            Self::One { mut child, .. } => {
                child.kill().unwrap();
                child.wait().unwrap();
            }
        }
    }
}

/// Returns a token for the services of a data folder.
fn minted(data: &Path, user: &str, scopes: &[&str]) -> String {
    let mut command = Command::new(binary("homeroom"));
    command.args(["token", "--user", user, "--data"]).arg(data);
    for scope in scopes {
        command.args(["--scope", scope]);
    }
    let output = command.output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
