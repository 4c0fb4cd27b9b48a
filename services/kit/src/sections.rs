//! Lists that are made of sections, one after the other, each with rows of its own kind.

use std::str::FromStr;

use crate::{
    paging::{Page, PageRequest, not_of_this_list},
    status::Result,
};

/// What one read of a section found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part<T> {
    /// The items, in the section's order.
    pub items: Vec<T>,
    /// The position after which the section goes on; `None` if it has ended.
    pub after: Option<String>,
}

impl<T> Part<T> {
    /// Returns what a read of at most `limit` rows found; `position` returns a row's position in the section.
    pub fn of(items: Vec<T>, limit: u32, position: impl Fn(&T) -> String) -> Self {
        let full = items.len() >= limit as usize;
        Self {
            after: items.last().filter(|_| full).map(position),
            items,
        }
    }

    /// Returns the part with each item converted.
    #[must_use]
    pub fn map<U>(self, make: impl FnMut(T) -> U) -> Part<U> {
        Part {
            items: self.items.into_iter().map(make).collect(),
            after: self.after,
        }
    }
}

/// The place in a list of sections from which a page is read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reading {
    section: usize,
    after: String,
    left: u32,
}

impl Reading {
    /// Returns the place at which the requested page begins. Fails with `INVALID_PAGE_TOKEN`.
    pub fn begin(page: &PageRequest) -> Result<Self> {
        let (section, after) = match page.cursor.as_deref() {
            None => (0, String::new()),
            Some([section, after]) => (read(section)?, after.clone()),
            Some(_) => return Err(not_of_this_list()),
        };
        Ok(Self {
            section,
            after,
            left: page.size,
        })
    }

    /// Returns the section to read, from 0.
    #[must_use]
    pub const fn section(&self) -> usize {
        self.section
    }

    /// Returns the number of items that the page still takes.
    #[must_use]
    pub const fn left(&self) -> u32 {
        self.left
    }

    /// Returns the position after which the section is read; `None` at its beginning. Fails with `INVALID_PAGE_TOKEN`.
    pub fn after<P: FromStr>(&self) -> Result<Option<P>> {
        let began = Some(self.after.as_str()).filter(|after| !after.is_empty());
        began.map(read).transpose()
    }

    /// Adds a part to the page. Returns true if the page is to be read on, in the next section.
    pub fn take<T>(&mut self, part: Part<T>, items: &mut Vec<T>) -> bool {
        let count = u32::try_from(part.items.len()).unwrap_or(u32::MAX);
        self.left = self.left.saturating_sub(count);
        items.extend(part.items);
        let ended = part.after.is_none();
        self.section += usize::from(ended);
        self.after = part.after.unwrap_or_default();
        ended && self.left > 0
    }

    /// Returns the page, after which the list goes on from here.
    #[must_use]
    pub fn page<T>(self, page: &PageRequest, items: Vec<T>) -> Page<T> {
        page.ending_at(items, &[self.section.to_string(), self.after])
    }
}

fn read<T: FromStr>(text: &str) -> Result<T> {
    text.parse().map_err(|_| not_of_this_list())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{keys::KeyRing, paging::Paging, random::SeededRandomness};

    fn paging() -> Paging {
        Paging::new(Arc::new(
            KeyRing::generate(&SeededRandomness::new(1)).unwrap(),
        ))
    }

    fn requested(size: u32, token: &str) -> PageRequest {
        let size = i32::try_from(size).unwrap();
        paging().parse(size, token, "list").unwrap()
    }

    /// Returns a page of a list with these sections of numbers.
    fn read_page(sections: &[Vec<u32>], page: &PageRequest) -> Page<u32> {
        let mut reading = Reading::begin(page).unwrap();
        let mut items = Vec::new();
        loop {
            let Some(section) = sections.get(reading.section()) else {
                return Page::last(items);
            };
            let (after, limit) = (reading.after::<u32>().unwrap(), reading.left());
            let rows = section.iter().copied();
            let rows = rows.filter(|row| after.is_none_or(|after| *row > after));
            let rows: Vec<u32> = rows.take(limit as usize).collect();
            let part = Part::of(rows, limit, ToString::to_string);
            if !reading.take(part, &mut items) {
                return reading.page(page, items);
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn every_item_is_on_one_page_in_order(
            counts in proptest::collection::vec(0_u32..6, 0..5), size in 1_u32..8,
        ) {
            let sections: Vec<Vec<u32>> = counts.iter().map(|count| (0..*count).collect()).collect();
            let (mut token, mut found) = (String::new(), Vec::new());
            for _ in 0..40 {
                let page = read_page(&sections, &requested(size, &token));
                proptest::prop_assert!(page.items.len() <= size as usize);
                found.extend(page.items);
                token = page.next_page_token;
                if token.is_empty() {
                    break;
                }
            }
            proptest::prop_assert_eq!(token, "");
            proptest::prop_assert_eq!(found, sections.concat());
        }
    }

    #[test]
    fn a_read_that_found_nothing_yet_ends_its_page_and_not_its_section() {
        let page = requested(3, "");
        let mut reading = Reading::begin(&page).unwrap();
        let mut items = vec![1];
        let unfinished = Part {
            items: Vec::new(),
            after: Some("20000".to_owned()),
        };
        assert!(!reading.take(unfinished, &mut items));
        let first = reading.page(&page, items);
        let next = Reading::begin(&requested(3, &first.next_page_token)).unwrap();
        assert_eq!((next.section(), next.left()), (0, 3));
        assert_eq!(next.after::<i64>().unwrap(), Some(20_000));
    }

    #[test]
    fn a_place_that_no_page_ended_at_is_a_bad_token() {
        for cursor in [
            vec![],
            vec!["0".to_owned()],
            vec!["members".to_owned(), String::new()],
        ] {
            let mut page = requested(1, "");
            page.cursor = Some(cursor);
            assert!(Reading::begin(&page).is_err());
        }
        let mut page = requested(1, "");
        page.cursor = Some(vec!["0".to_owned(), "x".to_owned()]);
        assert!(Reading::begin(&page).unwrap().after::<i64>().is_err());
    }
}
