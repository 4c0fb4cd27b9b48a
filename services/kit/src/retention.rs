//! How long data is kept: settings in days, read alike by both services.

use chrono::{DateTime, TimeDelta, Utc};

use crate::config::Reader;

/// The name of the setting of the days for which events are kept.
const RETENTION_EVENTS_SETTING: &str = "RETENTION_EVENTS_DAYS";
/// The fewest days for which events are kept, so that a follower that was away for weeks misses
/// none (P5, R11).
pub const RETENTION_EVENTS_DAYS_MIN: u32 = 30;
/// The most days that a setting may name: ten years.
pub const RETENTION_DAYS_MAX: u32 = 3_650;

/// Reads a number of days, from `min` to [`RETENTION_DAYS_MAX`]; `None` if the setting is unset.
pub fn read_days(reader: &mut Reader, name: &str, min: u32) -> Option<u32> {
    reader.optional(name, |text| {
        let days = text.trim().parse().ok();
        days.filter(|days| (min..=RETENTION_DAYS_MAX).contains(days))
            .ok_or_else(|| {
                format!("must be a whole number of days from {min} to {RETENTION_DAYS_MAX}")
            })
    })
}

/// Reads `RETENTION_EVENTS_DAYS`: the days for which events are kept; `None` means for ever.
pub fn read_events_days(reader: &mut Reader) -> Option<u32> {
    read_days(reader, RETENTION_EVENTS_SETTING, RETENTION_EVENTS_DAYS_MIN)
}

/// Returns the time before which data that is kept for so many days is past its retention.
#[must_use]
pub fn kept_since(now: DateTime<Utc>, days: u32) -> DateTime<Utc> {
    now - TimeDelta::days(i64::from(days))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f9_events_are_kept_for_30_to_3650_days_or_for_ever() {
        let read = |days: &str| {
            let mut reader = Reader::new(&[(RETENTION_EVENTS_SETTING, days)]);
            let read = read_events_days(&mut reader);
            reader.finish().map(|()| read).map_err(|errors| errors.0)
        };
        assert_eq!(read(""), Ok(None));
        assert_eq!(read("30"), Ok(Some(30)));
        assert_eq!(read(" 3650 "), Ok(Some(3_650)));
        for wrong in ["29", "3651", "0", "-1", "30.5", "month"] {
            let said = read(wrong).unwrap_err().concat();
            let expected = "RETENTION_EVENTS_DAYS must be a whole number of days from 30 to 3650";
            assert_eq!(said, expected, "{wrong}");
        }
    }
}
