//! Page tokens (AIP-158): opaque, authenticated, and bound to their list.

use std::{str::FromStr, sync::Arc};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use homeroom_api::common::v1::ErrorReason;

use crate::{
    keys::KeyRing,
    status::{Error, Result},
};

/// The default number of items on a page.
pub const PAGE_SIZE_DEFAULT: u32 = 50;
/// The most items on a page; a larger request is lowered to it.
pub const PAGE_SIZE_MAX: u32 = 1_000;
/// The most bytes of a page token.
pub const PAGE_TOKEN_BYTES_MAX: usize = 2_048;

const TAG: &str = "page-token v1";
const VERSION_BYTES: usize = 4;
const MAC_BYTES: usize = 32;

/// A page of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T> {
    /// The items in the list's order.
    pub items: Vec<T>,
    /// The token of the next page; empty at the end of the list.
    pub next_page_token: String,
}

impl<T> Page<T> {
    /// Returns the page of an empty list.
    #[must_use]
    pub const fn empty() -> Self {
        Self::last(Vec::new())
    }

    /// Returns the page of these items at the end of a list.
    #[must_use]
    pub const fn last(items: Vec<T>) -> Self {
        Self {
            items,
            next_page_token: String::new(),
        }
    }

    /// Returns the page with each item converted.
    #[must_use]
    pub fn map<U>(self, make: impl FnMut(T) -> U) -> Page<U> {
        Page {
            items: self.items.into_iter().map(make).collect(),
            next_page_token: self.next_page_token,
        }
    }
}

/// The requested page of a list.
#[derive(Debug, Clone)]
pub struct PageRequest {
    /// The number of items on the page: 1 to 1,000.
    pub size: u32,
    /// The keyset position after which the page starts; `None` for the first page.
    pub cursor: Option<Vec<String>>,
    list: String,
    paging: Paging,
}

impl PageRequest {
    /// Returns the cursor; `None` on the first page. Fails with `INVALID_PAGE_TOKEN` if it is
    /// empty or is not a `T`, since another version may have made an authentic token.
    pub fn cursor_as<T: FromStr>(&self) -> Result<Option<T>> {
        let Some(cursor) = &self.cursor else {
            return Ok(None);
        };
        let read = cursor.first().and_then(|part| part.parse().ok());
        read.map(Some).ok_or_else(not_of_this_list)
    }

    /// Returns the number of rows to read: one more than the page holds, which tells whether there
    /// is another page.
    #[must_use]
    pub const fn limit(&self) -> u32 {
        self.size + 1
    }

    /// Returns the page of the rows that were read, at most [`PageRequest::limit`]; `position`
    /// returns a row's position in the list.
    pub fn cut<T>(&self, mut rows: Vec<T>, position: impl Fn(&T) -> String) -> Page<T> {
        let more = rows.len() > self.size as usize;
        rows.truncate(self.size as usize);
        match rows.last().filter(|_| more).map(position) {
            Some(last) => self.ending_at(rows, &[last]),
            None => Page::last(rows),
        }
    }

    /// Returns the page of these items, after which the list goes on at the cursor.
    #[must_use]
    pub fn ending_at<T>(&self, items: Vec<T>, cursor: &[String]) -> Page<T> {
        Page {
            items,
            next_page_token: self.paging.token(&self.list, cursor),
        }
    }
}

/// Returns `INVALID_PAGE_TOKEN`: the list has not made the token.
#[must_use]
pub fn not_of_this_list() -> Error {
    Error::new(
        ErrorReason::InvalidPageToken,
        "Start this list again without a page_token: the one given was not made by it.",
    )
    .violation("page_token", "was not made by this list")
}

/// Creates and reads page tokens.
#[derive(Debug, Clone)]
pub struct Paging(Arc<KeyRing>);

impl Paging {
    /// Returns a paging whose tokens are authenticated with the ring.
    #[must_use]
    pub fn new(keyring: Arc<KeyRing>) -> Self {
        Self(keyring)
    }

    /// Reads the page options of a list request. `list` identifies the list exactly: rpc, parent
    /// and filter. Fails with `INVALID_REQUEST` for a negative size, and with `INVALID_PAGE_TOKEN`
    /// for a token of another list or an unknown one.
    pub fn parse(
        &self,
        page_size: i32,
        page_token: &str,
        list: impl Into<String>,
    ) -> Result<PageRequest> {
        let list = list.into();
        let size = match u32::try_from(page_size) {
            Err(_) => {
                return Err(Error::new(
                    ErrorReason::InvalidRequest,
                    "Correct the field page_size: it must not be negative.",
                )
                .violation("page_size", "must not be negative"));
            }
            Ok(0) => PAGE_SIZE_DEFAULT,
            Ok(size) => size.min(PAGE_SIZE_MAX),
        };
        let cursor = if page_token.is_empty() {
            None
        } else {
            Some(self.open(&list, page_token).ok_or_else(not_of_this_list)?)
        };
        Ok(PageRequest {
            size,
            cursor,
            list,
            paging: self.clone(),
        })
    }

    /// Returns the token for the page after `cursor` of `list`.
    #[must_use]
    pub fn token(&self, list: &str, cursor: &[String]) -> String {
        let payload = serde_json::Value::from(cursor).to_string();
        let version = self.0.current();
        let mut bytes = version.to_be_bytes().to_vec();
        bytes.extend_from_slice(&self.mac(version, list, payload.as_bytes()));
        bytes.extend_from_slice(payload.as_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    fn open(&self, list: &str, token: &str) -> Option<Vec<String>> {
        if token.len() > PAGE_TOKEN_BYTES_MAX {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (version, rest) = bytes.split_at_checked(VERSION_BYTES)?;
        let (mac, payload) = rest.split_at_checked(MAC_BYTES)?;
        let version = u32::from_be_bytes(version.try_into().ok()?);
        let expected = self.mac(version, list, payload);
        aws_lc_rs::constant_time::verify_slices_are_equal(mac, &expected).ok()?;
        serde_json::from_slice(payload).ok()
    }

    fn mac(&self, version: u32, list: &str, payload: &[u8]) -> [u8; MAC_BYTES] {
        let mut bound = (list.len() as u64).to_be_bytes().to_vec();
        bound.extend_from_slice(list.as_bytes());
        bound.extend_from_slice(payload);
        self.0.mac(version, TAG, &bound)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SeededRandomness;

    fn paging(seed: u64) -> Paging {
        let ring = KeyRing::generate(&SeededRandomness::new(seed)).unwrap();
        Paging::new(Arc::new(ring))
    }

    fn cursor() -> Vec<String> {
        vec!["2026".to_owned(), "bob/\"ü".to_owned()]
    }

    #[test]
    fn sizes_have_a_default_and_a_ceiling_and_are_never_negative() {
        let size = |wish| paging(1).parse(wish, "", "list").map(|page| page.size);
        assert_eq!(size(0).unwrap(), 50);
        assert_eq!(size(1).unwrap(), 1);
        assert_eq!(size(1_000).unwrap(), 1_000);
        assert_eq!(size(1_001).unwrap(), 1_000);
        assert_eq!(size(i32::MAX).unwrap(), 1_000);
        assert_eq!(size(-1).unwrap_err().reason(), ErrorReason::InvalidRequest);
    }

    #[test]
    fn a_token_gives_its_cursor_back() {
        let paging = paging(1);
        let token = paging.token("list", &cursor());
        let page = paging.parse(10, &token, "list").unwrap();
        assert_eq!(page.cursor, Some(cursor()));
        assert_eq!(paging.parse(10, "", "list").unwrap().cursor, None);
    }

    #[test]
    fn a_cursor_that_is_not_what_the_list_needs_is_a_bad_token() {
        let page = |cursor: Option<Vec<String>>| PageRequest {
            cursor,
            ..paging(1).parse(1, "", "list").unwrap()
        };
        assert_eq!(page(None).cursor_as::<i64>().unwrap(), None);
        assert_eq!(page(Some(cursor())).cursor_as().unwrap(), Some(2026));
        for cursor in [vec!["bob".to_owned()], vec![]] {
            let refused = page(Some(cursor)).cursor_as::<i64>().unwrap_err();
            assert_eq!(refused.reason(), ErrorReason::InvalidPageToken);
        }
    }

    #[test]
    fn a_page_ends_at_its_size_and_names_the_next_one_only_if_there_is_more() {
        let page = paging(1).parse(2, "", "list").unwrap();
        assert_eq!(page.limit(), 3);
        let cut = |rows: Vec<i32>| page.cut(rows, ToString::to_string);
        assert_eq!(cut(vec![1, 2]).next_page_token, "");
        let first = cut(vec![1, 2, 3]);
        assert_eq!(first.items, [1, 2]);
        let next = paging(1).parse(2, &first.next_page_token, "list").unwrap();
        assert_eq!(next.cursor_as().unwrap(), Some(2));
    }

    #[test]
    fn a_token_of_another_list_or_service_is_refused() {
        let token = paging(1).token("list", &cursor());
        for refused in [
            paging(1).parse(10, &token, "list2"),
            paging(2).parse(10, &token, "list"),
        ] {
            assert_eq!(refused.unwrap_err().reason(), ErrorReason::InvalidPageToken);
        }
    }

    #[test]
    fn an_altered_token_is_refused() {
        let paging = paging(1);
        let token = paging.token("list", &cursor());
        for index in 0..token.len() {
            let mut bytes = token.clone().into_bytes();
            bytes[index] = if bytes[index] == b'A' { b'B' } else { b'A' };
            let altered = String::from_utf8(bytes).unwrap();
            assert!(paging.parse(10, &altered, "list").is_err(), "byte {index}");
            assert!(paging.parse(10, &token[..index], "list").is_err() || index == 0);
        }
        assert!(paging.parse(10, "not base64!", "list").is_err());
        let long = "A".repeat(PAGE_TOKEN_BYTES_MAX + 1);
        assert!(paging.parse(10, &long, "list").is_err());
    }

    proptest::proptest! {
        #[test]
        fn any_cursor_comes_back_for_its_list_alone(cursor in proptest::collection::vec(".{0,20}", 0..6), list in ".{0,40}", other in ".{0,40}") {
            let paging = paging(1);
            let token = paging.token(&list, &cursor);
            proptest::prop_assert_eq!(paging.parse(10, &token, &list).unwrap().cursor, Some(cursor));
            proptest::prop_assert!(other == list || paging.parse(10, &token, &other).is_err());
        }

        #[test]
        fn no_text_is_a_token(text in ".{1,80}|[A-Za-z0-9_-]{48,120}") {
            proptest::prop_assert!(paging(1).parse(10, &text, "list").is_err());
        }
    }
}
