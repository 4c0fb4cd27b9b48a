//! A table's columns, from which its statements are made: a column is named here once.

use crate::database::Engine;

/// A table with the columns that its rows are written and read with.
#[derive(Debug, Clone, Copy)]
pub struct Table {
    /// The name.
    pub name: &'static str,
    /// The columns of texts.
    pub texts: &'static [&'static str],
    /// The columns of numbers and times.
    pub numbers: &'static [&'static str],
    /// The columns that are true or false.
    pub flags: &'static [&'static str],
    /// The columns of bytes, which JSON holds as hexadecimal text.
    pub bytes: &'static [&'static str],
    /// The columns to leave out.
    pub but: &'static [&'static str],
}

impl Table {
    /// Returns a table without columns.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self {
            name,
            texts: &[],
            numbers: &[],
            flags: &[],
            bytes: &[],
            but: &[],
        }
    }

    /// Returns the table without these columns.
    #[must_use]
    pub const fn but(self, but: &'static [&'static str]) -> Self {
        Self { but, ..self }
    }

    /// Returns each column as it is written, separated by commas.
    #[must_use]
    pub fn each(&self, write: impl Fn(&'static str) -> String) -> String {
        let all = [self.texts, self.numbers, self.flags, self.bytes];
        let columns = all.into_iter().flatten().copied();
        let columns = columns.filter(|column| !self.but.contains(column));
        columns.map(write).collect::<Vec<_>>().join(", ")
    }

    /// Returns the columns of the row with this name.
    #[must_use]
    pub fn of(&self, row: &str) -> String {
        self.each(|column| format!("{row}.{column}"))
    }

    /// Returns the names and values of the row with this name, for [`Engine::object`].
    #[must_use]
    pub fn pairs(&self, row: &str) -> String {
        self.each(|column| format!("'{column}', {row}.{column}"))
    }

    /// Returns the expression for a column of the JSON row `input.value`.
    #[must_use]
    pub fn input(&self, on: Engine, column: &str) -> String {
        let text = format!("input.value->>'{column}'");
        if self.numbers.contains(&column) {
            format!("CAST({text} AS BIGINT)")
        } else if self.flags.contains(&column) {
            format!("CAST({text} AS BOOLEAN)")
        } else if self.bytes.contains(&column) {
            on.bytes(&text)
        } else {
            text
        }
    }

    /// Returns the statement that inserts the JSON rows of a parameter, the table `input`. Conditions may follow.
    #[must_use]
    pub fn insert(&self, on: Engine, parameter: &str) -> String {
        format!(
            "INSERT INTO {} ({}) SELECT {} FROM {}",
            self.name,
            self.each(str::to_owned),
            self.each(|column| self.input(on, column)),
            on.rows(parameter, "input"),
        )
    }

    /// Returns the assignments of the columns from the JSON row `input.value`.
    #[must_use]
    pub fn assign(&self, on: Engine) -> String {
        self.each(|column| format!("{column} = {}", self.input(on, column)))
    }
}
