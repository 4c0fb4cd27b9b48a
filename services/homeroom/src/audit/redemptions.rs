//! Reads redemptions and admissions in parallel, in the order of their ids, so that only a few rows
//! are in memory at once.

use futures::{StreamExt as _, stream::BoxStream};

use super::{
    database::{Error, Row, Snapshot},
    judgment::{Admission, Circumstances, Redemption, Request, judge},
    report::{Invariant, Report},
};

const REDEMPTIONS: &str = "SELECT redemption_id, organization_id, class_id, user_id, invitation, \
    CAST(epoch AS TEXT), state, outcome, refuse_reason, join_request, CAST(create_time AS TEXT), \
    CAST(settle_time AS TEXT) FROM redemptions ORDER BY redemption_id COLLATE {bytes}";

/// Selects admissions with the request of a QUEUED one, and the time at which its end was written.
const ADMISSIONS: &str = "SELECT a.redemption_id, a.organization_id, a.class_id, a.user_id, a.invitation, \
    CAST(a.epoch AS TEXT), a.outcome, a.refuse_reason, \
    CASE WHEN a.request_id = '' THEN '' ELSE {request:a} END, j.state, CAST(j.expire_time AS TEXT), \
    CAST(coalesce(e.written, j.decide_time) AS TEXT) FROM admissions a LEFT JOIN join_requests j \
    ON a.outcome = 'QUEUED' AND j.organization_id = a.organization_id AND j.class_id = a.class_id \
    AND j.request_id = a.request_id LEFT JOIN (SELECT subject, max(create_time) AS written FROM events \
    WHERE event_type IN {ends} GROUP BY subject) e ON e.subject = {request:j} \
    ORDER BY a.redemption_id COLLATE {bytes}";

fn redemption(row: &Row) -> Redemption {
    Redemption {
        organization: row.text(1),
        class: row.text(2),
        user: row.text(3),
        invitation: row.text(4),
        epoch: row.text(5),
        state: row.text(6),
        outcome: row.text(7),
        refuse_reason: row.text(8),
        join_request: row.text(9),
        create_time: row.number(10).unwrap_or(0),
        settle_time: row.number(11),
    }
}

fn admission(row: &Row) -> Admission {
    let state = row.text(9);
    Admission {
        organization: row.text(1),
        class: row.text(2),
        user: row.text(3),
        invitation: row.text(4),
        epoch: row.text(5),
        outcome: row.text(6),
        refuse_reason: row.text(7),
        join_request: row.text(8),
        request: (!state.is_empty()).then(|| Request {
            state,
            expire_time: row.number(10).unwrap_or(i64::MAX),
            end_written_time: row.number(11),
        }),
    }
}

/// A stream of rows in the order of their ids, which are the first column.
struct Rows<'snapshot> {
    stream: BoxStream<'snapshot, Result<Row, Error>>,
    next: Option<(String, Row)>,
}

impl<'snapshot> Rows<'snapshot> {
    async fn open(snapshot: &'snapshot mut Snapshot, sql: &str) -> Result<Self, Error> {
        let mut rows = Self {
            stream: snapshot.rows(sql),
            next: None,
        };
        rows.advance().await?;
        Ok(rows)
    }

    async fn advance(&mut self) -> Result<(), Error> {
        let row = self.stream.next().await.transpose()?;
        self.next = row.map(|row| (row.text(0), row));
        Ok(())
    }

    fn id(&self) -> Option<&str> {
        self.next.as_ref().map(|(id, _)| id.as_str())
    }

    /// Returns the row with that id if it is the next; of several rows with one id, the first.
    async fn take(&mut self, wanted: &str) -> Result<Option<Row>, Error> {
        let mut found = None;
        while self.id() == Some(wanted) {
            let (_, row) = self.next.take().unzip();
            found = found.or(row);
            self.advance().await?;
        }
        Ok(found)
    }
}

/// Checks every redemption against its admission.
pub(crate) async fn judge_all(
    [before, after]: [&mut Snapshot; 2],
    membership: &mut Snapshot,
    circumstances: &Circumstances,
    report: &mut Report,
) -> Result<(), Error> {
    let mut before = Rows::open(before, REDEMPTIONS).await?;
    let mut admissions = Rows::open(membership, ADMISSIONS).await?;
    let mut after = Rows::open(after, REDEMPTIONS).await?;
    let (mut reserved, mut settled, mut answered) = (0, 0, 0);
    loop {
        let ids = [before.id(), admissions.id(), after.id()];
        let Some(id) = ids.into_iter().flatten().min().map(str::to_owned) else {
            break;
        };
        let first = before.take(&id).await?.as_ref().map(redemption);
        let answer = admissions.take(&id).await?.as_ref().map(admission);
        let last = after.take(&id).await?.as_ref().map(redemption);
        answered += u64::from(answer.is_some());
        if let Some(last) = &last {
            let counter = if last.is_settled() {
                &mut settled
            } else {
                &mut reserved
            };
            *counter += 1;
        }
        judge(
            &id,
            (first.as_ref(), answer.as_ref(), last.as_ref()),
            circumstances,
            report,
        );
    }
    report.count(Invariant::I4, "redemptions settled or queued", settled);
    report.count(Invariant::I4, "RESERVED", reserved);
    report.count(Invariant::I7, "redemptions", settled + reserved);
    report.count(Invariant::I7, "admissions", answered);
    report.count(Invariant::I8, "redemptions", settled + reserved);
    report.count(Invariant::I8, "admissions", answered);
    Ok(())
}
