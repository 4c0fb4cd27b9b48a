//! An organization with two classes and every kind of invitation.

use std::sync::Mutex;

use homeroom_tests::{Clients, dice::Dice};

use super::way::{Kind, Way};

/// An organization of the load.
pub(crate) struct School {
    /// The resource name.
    pub(crate) organization: String,
    pub(crate) classes: [String; 2],
    pub(crate) ways: Vec<Way>,
    /// Admitted students, whom staff may remove.
    pub(crate) students: Mutex<Vec<String>>,
}

impl School {
    /// Creates a school with this id and seat limit; 0 means no limit.
    pub(crate) async fn open(platform: &Clients, id: &str, seat_limit: i64, dice: &Dice) -> Self {
        let by = |claims: homeroom_tests::Claims<'_>| platform.acting_for(claims.subject);
        let school = homeroom_tests::School::create(id, seat_limit, by).await;
        let classes = [
            school.class.clone(),
            school.another_class("chemistry").await,
        ];
        let mut ways = Vec::new();
        for class in &classes {
            for kind in Kind::OF_CLASSES {
                ways.push(Way::open(kind, class, &school.teacher, dice).await);
            }
        }
        for kind in [Kind::InviteToken, Kind::EnrollmentCode] {
            ways.push(Way::open(kind, &school.organization, &school.admin, dice).await);
        }
        Self {
            organization: school.organization,
            classes,
            ways,
            students: Mutex::default(),
        }
    }
}
