//! Checks that refusals can be timed; meaningful times need a quiet machine and many samples.

use homeroom_attacks::timing::{Arguments, Method, State, measure};

#[tokio::test]
async fn refusals_of_every_kind_are_timed() {
    for method in [Method::Redeem, Method::Preview] {
        let timings = measure(&Arguments {
            samples: 125,
            codes: 5,
            method,
            postgres: false,
        })
        .await;
        for state in State::ALL {
            assert_eq!(timings.seconds(state).len(), 125);
        }
        print!("{method:?}\n{}", timings.table());
    }
}
