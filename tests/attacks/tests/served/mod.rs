//! The two services as processes.

use std::{collections::BTreeMap, net::SocketAddr};

use homeroom_attacks::{attacks::Target, frames::whole_message};
use homeroom_tests::{
    Claims, Engine, School,
    databases::Databases,
    processes::{Processes, Service},
    raw,
};
use serde_json::json;

/// The number of classes with the most labels, so that a list of them is a large answer.
const FAT_CLASSES: usize = 40;
/// A member of staff, who may request large answers.
const ATTACKER: &str = "attacker";
/// The most labels of a class, and the characters of each.
const LABELS: usize = 64;
const LABEL_CHARS: usize = 63;

/// Running services.
pub struct Served(Processes);

impl Served {
    /// Starts both on SQLite.
    pub async fn start() -> Self {
        let mut processes = Processes::on(Databases::create(Engine::Sqlite).await);
        for service in Service::BOTH {
            let quiet = ["env", "RUST_LOG=off"].map(str::to_owned);
            processes = processes.with_wrapper(service, quiet.into());
        }
        processes.launch_both().await;
        Self(processes)
    }

    /// Returns their process ids.
    pub fn ids(&self) -> [u32; 2] {
        Service::BOTH.map(|service| self.0.id(service))
    }

    /// Returns true if both are still running.
    pub fn run(&mut self) -> bool {
        Service::BOTH
            .into_iter()
            .all(|service| self.0.runs(service))
    }

    /// Returns their addresses.
    pub fn addresses(&self) -> [SocketAddr; 2] {
        Service::BOTH.map(|service| self.0.address(service))
    }

    /// Returns an access token of a user.
    pub fn token(&self, user: &str) -> String {
        self.0.callers().access_token(Claims::of(user))
    }

    /// Creates a school with a class for good callers, and others whose list is a large answer.
    pub async fn school(&self) -> School {
        let school = self.0.school().await;
        let member = json!({"user": ATTACKER, "role": "ADMIN"});
        let add = json!({"parent": school.organization, "member": member});
        let added = school
            .admin
            .call("MemberService.AddOrganizationMember", &add)
            .await;
        added.unwrap();
        let labels: BTreeMap<String, String> = (0..LABELS)
            .map(|number| {
                (
                    format!("{:a<LABEL_CHARS$}", format!("l{number}")),
                    "€".repeat(LABEL_CHARS),
                )
            })
            .collect();
        for number in 0..FAT_CLASSES {
            let id = format!("fat-{number}");
            let class = json!({"display_name": id, "labels": labels});
            let create = json!({"parent": school.organization, "class_id": id, "class": class});
            let created = school
                .teacher
                .call("ClassService.CreateClass", &create)
                .await;
            created.unwrap();
        }
        school
    }

    /// Returns each service with a large request that an attacker on the staff may make.
    pub fn targets(&self) -> Vec<Target> {
        let token = self.token(ATTACKER);
        let page = json!({"parent": "organizations/hamilton", "page_size": 1_000});
        let lists = [
            "/homeroom.membership.v1.ClassService/ListClasses",
            "/homeroom.invitations.v1.EnrollmentCodeService/ListEnrollmentCodes",
        ];
        let target = |(address, path): (SocketAddr, &'static str)| {
            let method = raw::method(&path[1..].replace('/', "."));
            Target {
                address,
                token: token.clone(),
                path,
                request: whole_message(&raw::encode(method, &page)),
            }
        };
        self.addresses()
            .into_iter()
            .zip(lists)
            .map(target)
            .collect()
    }

    /// Stops them.
    pub async fn stop(self) {
        self.0.stop().await;
    }
}
