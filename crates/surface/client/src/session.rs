//! What every command has at hand: the console and, once asked for, the daemon.

use std::{fmt, future::Future};

use futures_util::{StreamExt, stream};
use hakone_run_flags::Surroundings;
use tokio::sync::OnceCell;

use crate::{Address, Client, Console, Error, Identity, surroundings::Process};

/// One run of the command line.
pub struct Session {
    /// Where everything is printed.
    pub console: Console,
    around: Box<dyn Surroundings + Send + Sync>,
    address: Address,
    identity: Option<Identity>,
    client: OnceCell<Client>,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("console", &self.console)
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl Session {
    /// Does not connect yet: many mistakes are found without a daemon.
    pub fn new(console: Console, address: Address, identity: Option<Identity>) -> Self {
        Self::with_surroundings(console, Box::new(Process), address, identity)
    }

    /// Takes another environment and other files than the process's own.
    pub fn with_surroundings(
        console: Console,
        around: Box<dyn Surroundings + Send + Sync>,
        address: Address,
        identity: Option<Identity>,
    ) -> Self {
        Self {
            console,
            around,
            address,
            identity,
            client: OnceCell::new(),
        }
    }

    /// Gives what a command line may refer to beyond itself.
    pub fn around(&self) -> &dyn Surroundings {
        self.around.as_ref()
    }

    /// Connects, the first time.
    pub async fn client(&self) -> Result<&Client, Error> {
        let connect = || Client::connect(self.address.clone(), self.identity.clone());
        self.client.get_or_try_init(connect).await
    }

    /// Does the same to each of several names at once, prints names or failures in the order given.
    pub async fn each<'a, F>(
        &self,
        names: &'a [String],
        act: impl Fn(&'a str) -> F,
    ) -> Result<(), Error>
    where
        F: Future<Output = Result<String, Error>>,
    {
        const AT_ONCE: usize = 50;
        self.client().await?;
        let results: Vec<_> = stream::iter(names)
            .map(|name| act(name))
            .buffered(AT_ONCE)
            .collect()
            .await;
        let mut failed = false;
        for result in results {
            match result {
                Ok(text) => self.console.line(&text)?,
                Err(error) => {
                    failed = true;
                    self.console.complain(&error);
                }
            }
        }
        if failed { Err(Error::Exit(1)) } else { Ok(()) }
    }

    /// Asks a yes-or-no question; only a clear yes is one.
    pub fn confirm(&self, question: &str) -> Result<bool, Error> {
        self.console
            .bytes(format!("{question}\nAre you sure you want to continue? [y/N] ").as_bytes())?;
        let mut answer = String::new();
        std::io::stdin()
            .read_line(&mut answer)
            .map_err(Error::io("read answer"))?;
        Ok(answer.trim().eq_ignore_ascii_case("y"))
    }
}
