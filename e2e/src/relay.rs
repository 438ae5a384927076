//! A relay between an engine and a registry that stops in the middle: it lets so many bytes of answers through, over all
//! connections together, and holds back the rest. A test can so stop the engine at a byte that it chose.

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use crate::Namespace;

/// A relay; it serves until the test's process ends.
#[derive(Debug)]
pub struct Relay(Arc<State>);

#[derive(Debug)]
struct State {
    to: String,
    /// Bytes of answers that may pass, and that have.
    limit: AtomicU64,
    passed: AtomicU64,
    /// Whether an answer waits.
    held: AtomicBool,
}

impl Relay {
    /// Starts one on the namespace's loopback that lets everything through.
    #[must_use]
    #[expect(
        clippy::expect_used,
        reason = "a laboratory that cannot be made fails its test"
    )]
    pub fn start(at: &Namespace, port: u16, to: &str) -> Self {
        let state = Arc::new(State {
            to: to.to_owned(),
            limit: AtomicU64::new(u64::MAX),
            passed: AtomicU64::new(0),
            held: AtomicBool::new(false),
        });
        let served = Arc::clone(&state);
        // Threads stay in the namespace in which they were made.
        at.on(move || {
            let listener = TcpListener::bind(("127.0.0.1", port)).expect("the port is free");
            thread::spawn(move || accept(&listener, &served));
        });
        Self(state)
    }

    /// Begins to count anew, up to `limit`.
    pub fn limit(&self, limit: u64) {
        self.0.passed.store(0, Ordering::SeqCst);
        self.0.limit.store(limit, Ordering::SeqCst);
        self.0.held.store(false, Ordering::SeqCst);
    }

    /// Gives the bytes of answers that have passed since.
    #[must_use]
    pub fn passed(&self) -> u64 {
        self.0.passed.load(Ordering::SeqCst)
    }

    /// Reports whether something is held back: somebody asked, and the limit is reached.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.0.held.load(Ordering::SeqCst)
    }
}

fn accept(listener: &TcpListener, state: &Arc<State>) {
    for client in listener.incoming().flatten() {
        let state = Arc::clone(state);
        thread::spawn(move || serve(client, &state));
    }
}

fn serve(client: TcpStream, state: &Arc<State>) -> Option<()> {
    let server = TcpStream::connect(&state.to).ok()?;
    let (from, to) = (client.try_clone().ok()?, server.try_clone().ok()?);
    let asking = thread::spawn(move || pass((from, to), |count| count));
    pass((server, client), |count| state.take(count));
    asking.join().ok()
}

impl State {
    /// Gives how many of so many bytes may pass now; waits while none may.
    fn take(&self, count: u64) -> u64 {
        loop {
            let (limit, passed) = (
                self.limit.load(Ordering::SeqCst),
                self.passed.load(Ordering::SeqCst),
            );
            let free = limit.saturating_sub(passed).min(count);
            if free == 0 {
                self.held.store(true, Ordering::SeqCst);
                thread::sleep(Duration::from_millis(2));
                continue;
            }
            let taken = self.passed.compare_exchange(
                passed,
                passed + free,
                Ordering::SeqCst,
                Ordering::SeqCst,
            );
            if taken.is_ok() {
                return free;
            }
        }
    }
}

fn pass((mut from, mut to): (TcpStream, TcpStream), take: impl Fn(u64) -> u64) {
    let mut block = vec![0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut block) {
        let mut rest = block.get(..count).unwrap_or_default();
        while !rest.is_empty() {
            let free = usize::try_from(take(rest.len() as u64)).unwrap_or(rest.len());
            let (now, later) = rest.split_at(free.min(rest.len()));
            if to.write_all(now).is_err() {
                return;
            }
            rest = later;
        }
    }
    to.shutdown(Shutdown::Write).ok();
    from.shutdown(Shutdown::Read).ok();
}
