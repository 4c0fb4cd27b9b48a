//! Reads the databases once everything has settled.

use std::collections::{HashMap, HashSet};

use homeroom_kit::database::Url;
pub(crate) use homeroom_tests::databases::Reader;

/// A row of `redemptions` in invitations.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Redeemed {
    pub(crate) user: String,
    pub(crate) state: String,
    pub(crate) outcome: String,
}

/// The contents of both databases. Ids and resource names have the services' form.
#[derive(Debug, Clone, Default)]
pub(crate) struct Facts {
    /// By id.
    pub(crate) redemptions: HashMap<String, Redeemed>,
    /// Membership's answers, by the redemption's id.
    pub(crate) admissions: HashMap<String, String>,
    /// The states, by resource name.
    pub(crate) join_requests: HashMap<String, String>,
    /// The resource names of the members.
    pub(crate) members: HashSet<String>,
}

const PLACE: &str = "'organizations/' || organization_id || CASE WHEN class_id = '' THEN '' ELSE '/classes/' || class_id END";

impl Facts {
    /// Reads both databases.
    pub(crate) async fn read(membership: &Url, invitations: &Url) -> Result<Self, sqlx::Error> {
        let mut facts = Self::default();
        let mut reader = Reader::open(invitations).await?;
        let sql = "SELECT redemption_id, user_id, state, outcome FROM redemptions";
        for row in reader.rows(sql).await? {
            let redeemed = Redeemed {
                user: row[1].clone(),
                state: row[2].clone(),
                outcome: row[3].clone(),
            };
            facts.redemptions.insert(row[0].clone(), redeemed);
        }
        reader.close().await;
        let mut reader = Reader::open(membership).await?;
        let sql = "SELECT redemption_id, outcome FROM admissions";
        let pairs = reader.rows(sql).await?;
        facts.admissions.extend(
            pairs
                .into_iter()
                .map(|row| (row[0].clone(), row[1].clone())),
        );
        let sql =
            format!("SELECT {PLACE} || '/joinRequests/' || request_id, state FROM join_requests");
        let pairs = reader.rows(&sql).await?;
        facts.join_requests.extend(
            pairs
                .into_iter()
                .map(|row| (row[0].clone(), row[1].clone())),
        );
        let sql = "SELECT 'organizations/' || organization_id || '/members/' || user_id FROM organization_members \
             UNION ALL SELECT 'organizations/' || organization_id || '/classes/' || class_id || '/members/' || user_id \
             FROM class_members";
        let names = reader.rows(sql).await?;
        facts
            .members
            .extend(names.into_iter().map(|row| row[0].clone()));
        reader.close().await;
        Ok(facts)
    }
}
