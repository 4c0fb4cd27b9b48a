//! `homeroom demo` plays the whole story, checks each step, and then serves for experiments.

mod by_hand;
mod print;
mod stage;
mod step;
mod story;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use homeroom_invitations::{app::retention::Retention, domain::public_url::PublicUrl};
use homeroom_kit::{
    server::{CONNECTIONS_DEFAULT, TrustedProxies},
    shutdown::Shutdown,
};
use stage::Stage;

use crate::{
    Failure,
    arguments::{DemoArguments, PUBLIC_URL_DEFAULT},
    connection_arguments::{INVITATIONS_ADDRESS_DEFAULT, MEMBERSHIP_ADDRESS_DEFAULT},
    data_folder::DataFolder,
    embedded::{Embedded, Settings},
    serve::start_logs,
};

/// Plays the story; then serves until Ctrl-C, unless the arguments say otherwise.
pub(crate) async fn run(arguments: &DemoArguments) -> Result<(), Failure> {
    // The story is the output, so logs appear only on request.
    if std::env::var_os("RUST_LOG").is_some() {
        start_logs()?;
    }
    let shutdown = Shutdown::on_signals()?;
    let temporary = tempfile::tempdir()?;
    let folder = DataFolder::open_or_create(&temporary.path().join("data"))?;
    let settings = Settings {
        membership: free(MEMBERSHIP_ADDRESS_DEFAULT)?,
        invitations: free(INVITATIONS_ADDRESS_DEFAULT)?,
        public_url: PublicUrl::parse(PUBLIC_URL_DEFAULT)?,
        trusted_proxies: TrustedProxies::default(),
        connections_max: CONNECTIONS_DEFAULT,
        retention_events_days: None,
        retention_join_requests_days: None,
        retention: Retention::default(),
    };
    let starting = Box::pin(Embedded::start(&folder, settings, shutdown.clone()));
    let Some(embedded) = shutdown.unless_begun(starting).await else {
        return Ok(());
    };
    let embedded = embedded?;
    print::plain(&format!(
        "membership listens on {}, invitations on {}; the data lies in a temporary folder.",
        embedded.membership_address(),
        embedded.invitations_address(),
    ));
    let told = tell(&embedded, arguments.once, &folder).await;
    if told.is_err() || arguments.once {
        embedded.stop();
    }
    embedded.stopped().await?;
    told
}

async fn tell(embedded: &Embedded, once: bool, folder: &DataFolder) -> Result<(), Failure> {
    let mut stage = Stage::new(embedded)?;
    let class_code = match story::play(&mut stage).await {
        Ok(class_code) => class_code,
        Err(failure) => {
            print::ending(
                false,
                &format!(
                    "The story ends here: {} steps came out as they should, the next did not.",
                    stage.steps()
                ),
            );
            return Err(failure);
        }
    };
    print::ending(
        true,
        &format!("All {} steps came out as they should.", stage.steps()),
    );
    if !once {
        by_hand::print(&stage, embedded, folder, &class_code)?;
    }
    Ok(())
}

/// Returns the address if it is free, otherwise any free port on loopback.
fn free(address: &str) -> Result<SocketAddr, Failure> {
    let address: SocketAddr = address.parse()?;
    Ok(match TcpListener::bind(address) {
        Ok(_) => address,
        Err(_) => (Ipv4Addr::LOCALHOST, 0).into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_address_gives_way_to_any_free_port() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = taken.local_addr().unwrap();
        assert_eq!(free(&address.to_string()).unwrap().port(), 0);
        drop(taken);
        assert_eq!(free(&address.to_string()).unwrap(), address);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_whole_story_comes_out_as_it_should() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = DataFolder::open_or_create(&temporary.path().join("data")).unwrap();
        let any = (Ipv4Addr::LOCALHOST, 0).into();
        let settings = Settings {
            membership: any,
            invitations: any,
            public_url: PublicUrl::parse(PUBLIC_URL_DEFAULT).unwrap(),
            trusted_proxies: TrustedProxies::default(),
            connections_max: CONNECTIONS_DEFAULT,
            retention_events_days: None,
            retention_join_requests_days: None,
            retention: Retention::default(),
        };
        let embedded = Embedded::start(&folder, settings, Shutdown::new())
            .await
            .unwrap();
        let told = tell(&embedded, false, &folder).await;
        embedded.stop();
        embedded.stopped().await.unwrap();
        told.unwrap();
    }
}
