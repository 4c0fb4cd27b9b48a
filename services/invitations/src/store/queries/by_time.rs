//! Rows whose ids are UUIDs of version 7 and of their times: listed and pruned by id alone.

use chrono::{DateTime, TimeDelta, Utc};
use homeroom_api::{ids::ClassId, names::Place};
use uuid::Uuid;

use super::{before_text, corrupt, organization_id};
use crate::store::Result;

/// Bits of a UUID of version 7 below its milliseconds.
const BITS_BELOW_MILLIS: u32 = 80;

/// The least id of a time, to the millisecond below it.
pub(super) fn least_id(time: DateTime<Utc>) -> String {
    let millis = u128::try_from(time.timestamp_millis()).unwrap_or(0);
    Uuid::from_u128(millis << BITS_BELOW_MILLIS).to_string()
}

/// The ids of a list's page, half open: from `from` on, below `till` and below `before`. What is
/// within the first and the last millisecond is for `create_time` to tell.
pub(super) fn id_bounds(
    from: Option<DateTime<Utc>>,
    till: Option<DateTime<Utc>>,
    before: Option<Uuid>,
) -> (String, String) {
    let least = from.map(least_id).unwrap_or_default();
    let till = till.map(|till| least_id(till + TimeDelta::milliseconds(1)));
    let end = before_text(before);
    (least, till.map_or(end.clone(), |till| till.min(end)))
}

/// A place as its two columns hold it; both empty for none.
pub(super) fn place_columns(place: Option<&Place>) -> (&str, &str) {
    let organization = place.map_or("", |place| place.organization().as_str());
    let class = place.and_then(Place::class).map_or("", ClassId::as_str);
    (organization, class)
}

/// The place of two columns.
pub(super) fn place(organization: &str, class: &str) -> Result<Option<Place>> {
    if organization.is_empty() {
        return Ok(None);
    }
    let organization = organization_id(organization)?;
    let class = (!class.is_empty())
        .then(|| ClassId::parse(class))
        .transpose()
        .map_err(|_| corrupt("a class id does not parse"))?;
    Ok(Some(Place::new(organization, class)))
}
