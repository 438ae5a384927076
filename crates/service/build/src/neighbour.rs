//! Words shared by the traits that this service declares.

use std::{future::Future, pin::Pin};

use hakone_base::Fault;

/// A future on the heap.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A neighbour's refusal, with its own words and kind.
pub type Refusal = Box<dyn Fault + Send + Sync>;
