//! The trace context of a call, passed from its W3C `traceparent` to the calls that are made for
//! it.

use std::future::Future;

use http::HeaderMap;

/// The metadata key of the trace and the parent span: `00-{32 hex}-{16 hex}-{2 hex}`.
pub const TRACE_PARENT_METADATA: &str = "traceparent";
/// The lengths of its parts.
const PARTS: [usize; 4] = [2, 32, 16, 2];

tokio::task_local! {
    static PARENT: Option<String>;
}

/// Returns the `traceparent` of the call for which this task works, if there was one.
#[must_use]
pub fn current() -> Option<String> {
    PARENT.try_with(Clone::clone).ok().flatten()
}

/// Runs `work` within the trace, or within none.
pub async fn within<F: Future>(parent: Option<String>, work: F) -> F::Output {
    PARENT.scope(parent, work).await
}

/// Returns the `traceparent` of a call if it is well formed.
pub(crate) fn parent_of(headers: &HeaderMap) -> Option<&str> {
    let parent = headers.get(TRACE_PARENT_METADATA)?.to_str().ok()?;
    let hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let parts = parent.split('-');
    let well_formed = parts.clone().map(str::len).eq(PARTS)
        && parts.flat_map(str::bytes).all(hex)
        && !parent.starts_with("ff");
    well_formed.then_some(parent)
}

/// Returns the id of the trace in a well-formed `traceparent`.
pub(crate) fn id_of(parent: &str) -> Option<&str> {
    parent.split('-').nth(1)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;
    use crate::tasks::Writes;

    const ID: &str = "0af7651916cd43dd8448eb211c80319c";

    #[test]
    fn a_well_formed_parent_is_taken_over_and_no_other() {
        let read = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(TRACE_PARENT_METADATA, HeaderValue::from_str(text).unwrap());
            parent_of(&headers).and_then(id_of).map(str::to_owned)
        };
        let good = format!("00-{ID}-b7ad6b7169203331-01");
        assert_eq!(read(&good).as_deref(), Some(ID));
        let wrong = [
            String::new(),
            "00-short-b7ad6b7169203331-01".to_owned(),
            format!("{good}-more"),
            format!("ff{}", &good[2..]),
            good.to_uppercase(),
        ];
        for text in wrong {
            assert_eq!(read(&text), None, "{text}");
        }
    }

    #[tokio::test]
    async fn a_write_that_outlives_its_caller_stays_part_of_the_trace() {
        let parent = Some("parent".to_owned());
        let writes = Writes::new();
        let (sender, told) = tokio::sync::oneshot::channel();
        let ran = within(parent.clone(), async {
            writes.spawn(async { sender.send(current()).unwrap() });
            writes.run(async { current() }).await
        });
        assert_eq!(ran.await, parent);
        assert_eq!(told.await.unwrap(), parent);
        assert_eq!(current(), None);
    }
}
