//! What stands when somebody asks: connections that began before the log was opened, or longer ago than it remembers.
//!
//! Connection tracking lists what passes the host. What members of one network say to each other does not, so their TCP connections
//! come from whoever can ask the containers' own kernels. Each becomes a line as if it had just been told that it began.

use std::{net::SocketAddr, sync::Arc};

use hakone_flow_model::{Record, Teller, Tracked};

use crate::{
    Error, Service,
    service::{lock, now},
};

/// A client and its server, as the client names it.
pub type Connection = (SocketAddr, SocketAddr);

/// How many lines one question gets.
const MOST: usize = 20_000;

impl Service {
    /// Lists what stands, `among` members of one network and through the host. Cancellation safe: it changes nothing.
    ///
    /// # Errors
    /// When the log is off, or the kernel lists no flows.
    pub async fn standing(&self, among: Vec<Connection>) -> Result<Vec<Arc<Record>>, Error> {
        let service = self.clone();
        let listing = tokio::task::spawn_blocking(move || service.list(&among)).await;
        listing.map_err(|error| Error::Thread(std::io::Error::other(error)))?
    }

    fn list(&self, among: &[Connection]) -> Result<Vec<Arc<Record>>, Error> {
        let inner = self.inner()?;
        let tracked = hakone_nft::standing_flows()?;
        let tracked = tracked.iter().filter_map(|flow| Tracked::read(flow));
        let among = among.iter();
        let among = among.map(|(client, server)| Tracked::tcp(*client, *server));
        let at = now();
        let owners = lock(&inner.owners);
        let mut lines: Vec<Arc<Record>> = tracked
            .chain(among)
            .filter_map(|flow| Some(Arc::new(Teller::began(&owners, &flow, at)?.record())))
            .take(MOST)
            .collect();
        if lines.len() == MOST {
            let reason = "more stands than one question is told".to_owned();
            lines.push(Arc::new(Record::lost(at, None, reason)));
        }
        Ok(lines)
    }
}
