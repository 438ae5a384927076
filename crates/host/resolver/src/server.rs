//! The thread on which the questions of all containers are read and answered.
//!
//! One for all: a question takes microseconds, and a thread that nobody else uses may sleep while questions gather.

use std::{sync::Arc, thread};

use tokio::{
    net::{TcpListener, UdpSocket},
    runtime::{Builder, Handle},
    sync::{Semaphore, oneshot},
    task::AbortHandle,
};

use crate::{
    Error, Listening, Names,
    serve::{OUTSTANDING, connections, datagrams},
};

/// How many answers are opened to containers at once; more wait.
const OPENING: usize = 4;

/// The thread, which ends with this value.
#[derive(Debug)]
pub struct Server {
    runtime: Handle,
    _end: oneshot::Sender<()>,
}

impl Server {
    /// Starts the thread in the caller's network namespace: what is no container's name is asked from there.
    ///
    /// # Errors
    /// When the kernel gives no thread or no descriptor.
    pub fn start() -> Result<Self, Error> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(OPENING)
            .build()?;
        let handle = runtime.handle().clone();
        let (end, ended) = oneshot::channel();
        let serve = move || runtime.block_on(async { ended.await.unwrap_or(()) });
        thread::Builder::new()
            .name("resolver".to_owned())
            .spawn(serve)?;
        Ok(Self {
            runtime: handle,
            _end: end,
        })
    }

    /// Begins to answer one container over both protocols, each within the quota of that container; the handles end it.
    ///
    /// # Errors
    /// When the runtime does not take the sockets.
    pub fn serve(
        &self,
        names: &Arc<dyn Names>,
        listening: Listening,
    ) -> Result<[AbortHandle; 2], Error> {
        let _entered = self.runtime.enter();
        let quota = Arc::new(Semaphore::new(OUTSTANDING));
        let udp = UdpSocket::from_std(listening.udp)?;
        let tcp = TcpListener::from_std(listening.tcp)?;
        let over_udp = datagrams(udp, Arc::clone(names), Arc::clone(&quota));
        let over_tcp = connections(tcp, Arc::clone(names), quota);
        Ok([
            self.runtime.spawn(over_udp).abort_handle(),
            self.runtime.spawn(over_tcp).abort_handle(),
        ])
    }
}
