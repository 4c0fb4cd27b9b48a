//! Reads redemptions and admissions in parallel, in the order of their ids, so that only a few rows
//! are in memory at once.

use futures::{TryStreamExt as _, stream::BoxStream};
use sqlx::FromRow;

use super::{
    database::{Error, OfEither, Snapshot},
    judgment::{Admission, Circumstances, Redemption, judge},
    report::{Invariant, Report},
};

const REDEMPTIONS: &str = "SELECT redemption_id, organization_id, class_id, user_id, invitation, \
    CAST(epoch AS TEXT) AS epoch, state, outcome, refuse_reason, join_request, create_time, settle_time \
    FROM redemptions ORDER BY redemption_id COLLATE {bytes}";

/// Selects admissions with the request of a QUEUED one, and the time at which its end was written.
const ADMISSIONS: &str = "SELECT a.redemption_id, a.organization_id, a.class_id, a.user_id, a.invitation, \
    CAST(a.epoch AS TEXT) AS epoch, a.outcome, a.refuse_reason, \
    CASE WHEN a.request_id = '' THEN '' ELSE {request:a} END AS join_request, j.state AS request_state, \
    j.expire_time, coalesce(e.written, j.decide_time) AS end_written_time FROM admissions a \
    LEFT JOIN join_requests j ON a.outcome = 'QUEUED' AND j.organization_id = a.organization_id \
    AND j.class_id = a.class_id AND j.request_id = a.request_id \
    LEFT JOIN (SELECT subject, max(create_time) AS written FROM events \
    WHERE event_type IN {ends} GROUP BY subject) e ON e.subject = {request:j} \
    ORDER BY a.redemption_id COLLATE {bytes}";

/// A row with the id of its redemption.
#[derive(FromRow)]
struct Identified<T> {
    redemption_id: String,
    #[sqlx(flatten)]
    row: T,
}

/// A stream of rows in the order of their ids.
struct Rows<'snapshot, T> {
    stream: BoxStream<'snapshot, Result<Identified<T>, Error>>,
    next: Option<Identified<T>>,
}

impl<'snapshot, T: OfEither + 'snapshot> Rows<'snapshot, T> {
    async fn open(snapshot: &'snapshot mut Snapshot, sql: &str) -> Result<Self, Error> {
        let mut stream = snapshot.rows(sql);
        let next = stream.try_next().await?;
        Ok(Self { stream, next })
    }

    fn id(&self) -> Option<&str> {
        self.next.as_ref().map(|next| next.redemption_id.as_str())
    }

    /// Returns the row with that id if it is the next; of several rows with one id, the first.
    async fn take(&mut self, wanted: &str) -> Result<Option<T>, Error> {
        let mut found = None;
        while self.id() == Some(wanted) {
            let next = self.stream.try_next().await?;
            let row = std::mem::replace(&mut self.next, next);
            found = found.or(row.map(|row| row.row));
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
    let mut before = Rows::<Redemption>::open(before, REDEMPTIONS).await?;
    let mut admissions = Rows::<Admission>::open(membership, ADMISSIONS).await?;
    let mut after = Rows::<Redemption>::open(after, REDEMPTIONS).await?;
    let (mut reserved, mut settled, mut answered) = (0, 0, 0);
    loop {
        let ids = [before.id(), admissions.id(), after.id()];
        let Some(id) = ids.into_iter().flatten().min().map(str::to_owned) else {
            break;
        };
        let first = before.take(&id).await?;
        let answer = admissions.take(&id).await?;
        let last = after.take(&id).await?;
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
