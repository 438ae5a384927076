//! How fast one client may ask: a bucket that fills with time, for each user or address.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Clients that are remembered; beyond that the fullest buckets, which say nothing, are forgotten.
const CLIENTS: usize = 10_000;

/// So many requests in a second on average, and so many at once.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    /// In a second.
    pub each_second: f64,
    /// At once.
    pub burst: f64,
}

/// The buckets of all clients.
#[derive(Debug)]
pub struct Pace {
    rate: Rate,
    buckets: Mutex<HashMap<Key, (f64, Instant)>>,
}

/// Who counts as one client.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Key {
    /// A user, wherever they are.
    User(String),
    /// An address; of IPv6 the network of a subscriber.
    Address(IpAddr),
}

impl Key {
    /// Takes an address as the client that it belongs to.
    #[must_use]
    pub fn address(address: IpAddr) -> Self {
        Self::Address(match address {
            IpAddr::V4(_) => address,
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                std::net::Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
            }
        })
    }
}

impl Pace {
    /// Makes empty buckets.
    #[must_use]
    pub fn new(rate: Rate) -> Self {
        Self {
            rate,
            buckets: Mutex::default(),
        }
    }

    /// Takes one request out of a client's bucket; when it is empty, says how long to wait.
    ///
    /// # Errors
    /// The time until the next request may come.
    pub fn take(&self, key: Key, now: Instant) -> Result<(), Duration> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= CLIENTS && !buckets.contains_key(&key) {
            let rate = self.rate;
            buckets.retain(|_, bucket| filled(*bucket, rate, now) < rate.burst);
            if buckets.len() >= CLIENTS {
                return Err(Duration::from_secs(1));
            }
        }
        let bucket = buckets.entry(key).or_insert((self.rate.burst, now));
        *bucket = (filled(*bucket, self.rate, now), now);
        if bucket.0 < 1.0 {
            let seconds = (1.0 - bucket.0) / self.rate.each_second.max(f64::MIN_POSITIVE);
            return Err(Duration::from_secs_f64(seconds.clamp(0.001, 3600.0)));
        }
        bucket.0 -= 1.0;
        Ok(())
    }

    /// Puts back what was taken for a request that shall not count.
    pub fn give_back(&self, key: &Key) {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((level, _)) = buckets.get_mut(key) {
            *level = (*level + 1.0).min(self.rate.burst);
        }
    }
}

fn filled((level, at): (f64, Instant), rate: Rate, now: Instant) -> f64 {
    let gained = now.saturating_duration_since(at).as_secs_f64() * rate.each_second;
    (level + gained).min(rate.burst)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_then_the_rate_holds() {
        let pace = Pace::new(Rate {
            each_second: 2.0,
            burst: 3.0,
        });
        let (start, bob) = (Instant::now(), || Key::User("bob".into()));
        for _ in 0..3 {
            assert!(pace.take(bob(), start).is_ok());
        }
        assert_eq!(pace.take(bob(), start), Err(Duration::from_millis(500)));
        assert!(pace.take(Key::User("eve".into()), start).is_ok());
        let later = start + Duration::from_millis(500);
        assert!(pace.take(bob(), later).is_ok() && pace.take(bob(), later).is_err());
    }

    #[test]
    fn what_is_given_back_was_not_taken() {
        let pace = Pace::new(Rate {
            each_second: 0.1,
            burst: 1.0,
        });
        let (now, bob) = (Instant::now(), Key::User("bob".into()));
        for _ in 0..3 {
            assert!(pace.take(bob.clone(), now).is_ok());
            pace.give_back(&bob);
            pace.give_back(&bob);
        }
        assert!(pace.take(bob.clone(), now).is_ok() && pace.take(bob, now).is_err());
    }

    #[test]
    fn a_subscriber_of_ipv6_is_one_client_and_the_table_is_bounded() {
        let key = |text: &str| Key::address(text.parse().unwrap());
        assert_eq!(key("2001:db8:1:2::1"), key("2001:db8:1:2:ffff::9"));
        assert_ne!(key("192.0.2.1"), key("192.0.2.2"));
        let pace = Pace::new(Rate {
            each_second: 1.0,
            burst: 1.0,
        });
        let now = Instant::now();
        for number in 0..CLIENTS {
            pace.take(Key::User(number.to_string()), now).unwrap();
        }
        assert!(pace.take(Key::User("one more".into()), now).is_err());
        assert!(
            pace.take(Key::User("one more".into()), now + Duration::from_secs(2))
                .is_ok()
        );
    }
}
