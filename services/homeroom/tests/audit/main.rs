//! The auditor, run as the installed binary, on either engine.
//!
//! Needs a PostgreSQL: `HOMEROOM_TEST_DATABASE_URL`. Without it these tests fail; nothing is skipped.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on stops where it stands"
)]

macro_rules! on_both_engines {
    ($($test:ident $(: $invariant:ident)?),+ $(,)?) => {
        mod postgres {
            $(
                #[tokio::test]
                async fn $test() {
                    on_both_engines!(@call Postgres $test $($invariant)?);
                }
            )+
        }
        mod sqlite {
            $(
                #[tokio::test]
                async fn $test() {
                    on_both_engines!(@call Sqlite $test $($invariant)?);
                }
            )+
        }
    };
    (@call $engine:ident $test:ident) => {
        super::$test(super::Engine::$engine).await
    };
    (@call $engine:ident $test:ident $invariant:ident) => {
        super::each(super::Engine::$engine, stringify!($invariant), super::$invariant).await
    };
}

mod corruptions;
mod databases;
mod verdicts;
