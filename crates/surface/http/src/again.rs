//! Polls a connection again at once when it woke itself, instead of by way of the runtime's queue.
//!
//! A request's body is handed from the connection to its handler piece by piece, and each piece taken wakes the connection, though
//! both are one task: the runtime puts it to the end of its queue and rouses another thread for it, two or three system calls a
//! piece. A client that sends an archive sends two pieces a file. In `serve.rs`, around each connection.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use futures_util::task::AtomicWaker;
use tokio::task::coop::has_budget_remaining;

/// How often in one turn: others wait for theirs.
const TURNS: usize = 64;

/// Nobody polls: who wakes rouses the task.
const IDLE: u8 = 0;
/// It is being polled.
const POLLING: u8 = 1;
/// It was woken since the poll began.
const WOKEN: u8 = 2;

/// A future that is polled again at once when it was woken while it was polled.
#[derive(Debug)]
pub(crate) struct Again<F> {
    future: F,
    state: Arc<State>,
    waker: Waker,
}

#[derive(Debug)]
struct State {
    turn: AtomicU8,
    task: AtomicWaker,
}

impl<F> Again<F> {
    pub(crate) fn new(future: F) -> Self {
        let state = Arc::new(State {
            turn: AtomicU8::new(IDLE),
            task: AtomicWaker::new(),
        });
        let waker = Waker::from(Arc::clone(&state));
        Self {
            future,
            state,
            waker,
        }
    }
}

impl<F: Future + Unpin> Future for Again<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let own = self.waker.clone();
        let mut own = Context::from_waker(&own);
        self.state.task.register(context.waker());
        for _ in 0..TURNS {
            // An exchange, not a store: what a wake before it announces is seen by the poll after it.
            self.state.turn.swap(POLLING, Ordering::AcqRel);
            if let Poll::Ready(done) = Pin::new(&mut self.future).poll(&mut own) {
                return Poll::Ready(done);
            }
            if self.state.rests() {
                return Poll::Pending;
            }
            if !has_budget_remaining() {
                break;
            }
        }
        // Woken still: its turn comes when the others have had theirs.
        self.state.turn.store(IDLE, Ordering::Release);
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

impl State {
    /// Ends a poll, unless it was woken meanwhile.
    fn rests(&self) -> bool {
        let (success, failure) = (Ordering::AcqRel, Ordering::Acquire);
        self.turn
            .compare_exchange(POLLING, IDLE, success, failure)
            .is_ok()
    }
}

impl Wake for State {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.turn.swap(WOKEN, Ordering::AcqRel) == IDLE {
            self.task.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{future::poll_fn, sync::atomic::AtomicUsize, time::Duration};

    use super::*;

    #[derive(Default)]
    struct Counter(AtomicUsize);

    impl Wake for Counter {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Pending so many times, waking itself each time.
    fn itself(mut times: usize) -> impl Future<Output = ()> + Unpin {
        poll_fn(move |context| match times {
            0 => Poll::Ready(()),
            _ => {
                times -= 1;
                context.waker().wake_by_ref();
                Poll::Pending
            }
        })
    }

    #[test]
    fn who_wakes_itself_is_polled_to_its_end_without_a_word_to_the_runtime() {
        let counter = Arc::new(Counter::default());
        let waker = Waker::from(Arc::clone(&counter));
        let mut again = Again::new(itself(TURNS - 1));
        let polled = Pin::new(&mut again).poll(&mut Context::from_waker(&waker));
        assert_eq!(
            (polled, counter.0.load(Ordering::SeqCst)),
            (Poll::Ready(()), 0)
        );
    }

    #[test]
    fn who_never_stops_waking_itself_gives_way_and_asks_for_another_turn() {
        let counter = Arc::new(Counter::default());
        let waker = Waker::from(Arc::clone(&counter));
        let mut again = Again::new(itself(usize::MAX));
        for turn in 1..4 {
            let polled = Pin::new(&mut again).poll(&mut Context::from_waker(&waker));
            assert_eq!(
                (polled, counter.0.load(Ordering::SeqCst)),
                (Poll::Pending, turn)
            );
        }
    }

    async fn send(sender: tokio::sync::mpsc::Sender<u32>) {
        for number in 0..20_000 {
            sender.send(number).await.unwrap();
        }
    }

    async fn count(mut receiver: tokio::sync::mpsc::Receiver<u32>) -> u32 {
        let mut next = 0;
        while let Some(number) = receiver.recv().await {
            assert_eq!(number, next);
            next += 1;
        }
        next
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn no_wake_of_another_thread_is_lost() {
        let (sender, receiver) = tokio::sync::mpsc::channel(1);
        let sent = tokio::spawn(send(sender));
        let counted = Again::new(Box::pin(count(receiver)));
        let counted = tokio::time::timeout(Duration::from_secs(60), counted).await;
        assert_eq!(counted.unwrap(), 20_000);
        sent.await.unwrap();
    }
}
