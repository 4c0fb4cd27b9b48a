//! Page tokens: authenticated, and bound to their list. The first byte selects the use of the input.

use std::sync::{Arc, LazyLock};

use homeroom_api::common::v1::ErrorReason;
use homeroom_kit::{
    keys::KeyRing,
    paging::{PAGE_SIZE_MAX, PAGE_TOKEN_BYTES_MAX, Paging},
    random::SeededRandomness,
};

const LIST: &str = "ListTokens organizations/hamilton/classes/biology state=ACTIVE";

static PAGING: LazyLock<[Paging; 2]> = LazyLock::new(|| {
    [1, 2].map(|seed| {
        let ring = KeyRing::generate(&SeededRandomness::new(seed)).unwrap();
        Paging::new(Arc::new(ring))
    })
});

/// Checks every property of one input.
pub fn check(data: &[u8]) {
    let [ours, theirs] = &*PAGING;
    let Some((use_as, data)) = data.split_first() else {
        return;
    };
    let text = crate::text(data);
    if use_as.is_multiple_of(2) {
        // A foreign text is refused, unless it is exactly what this service would write.
        let Ok(page) = ours.parse(i32::from(*use_as), &text, LIST) else {
            return;
        };
        assert!((1..=PAGE_SIZE_MAX).contains(&page.size));
        match page.cursor {
            None => assert!(text.is_empty()),
            Some(cursor) => assert_eq!(ours.token(LIST, &cursor), text),
        }
        return;
    }
    let cursor: Vec<String> = text.split('\n').map(str::to_owned).collect();
    let token = ours.token(LIST, &cursor);
    let refused = |paging: &Paging, token: &str, list: &str| {
        let refused = paging.parse(10, token, list).unwrap_err();
        assert_eq!(refused.reason(), ErrorReason::InvalidPageToken);
    };
    if token.len() > PAGE_TOKEN_BYTES_MAX {
        return refused(ours, &token, LIST);
    }
    assert_eq!(ours.parse(10, &token, LIST).unwrap().cursor, Some(cursor));
    refused(theirs, &token, LIST);
    refused(ours, &token, &LIST[1..]);
    // The end of the list's name and the beginning of the cursor cannot be exchanged.
    refused(ours, &token, &format!("{LIST}["));
    let place = usize::from(*use_as) * token.len() / 256;
    let mut bytes = token.clone().into_bytes();
    bytes[place] = if bytes[place] == b'A' { b'B' } else { b'A' };
    refused(ours, std::str::from_utf8(&bytes).unwrap(), LIST);
    if place > 0 {
        refused(ours, &token[..place], LIST);
    }
    refused(ours, &format!("{token}A"), LIST);
    refused(ours, &format!("{token}="), LIST);
}
