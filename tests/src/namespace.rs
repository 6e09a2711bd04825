//! A private key prefix for a test on the shared Redis.

use redis::Commands as _;

/// A unique prefix; its keys are removed when it is dropped.
#[derive(Debug)]
pub struct TestNamespace {
    /// The prefix.
    pub name: String,
    url: String,
}

/// The URL of the Redis that all tests share.
#[must_use]
pub fn shared_redis() -> String {
    std::env::var("GALLEY_TEST_REDIS")
        .expect("GALLEY_TEST_REDIS must name a Redis, for example redis://127.0.0.1:6379")
}

impl TestNamespace {
    /// A fresh prefix on the Redis at this URL.
    #[must_use]
    pub fn fresh(url: &str) -> Self {
        Self { name: format!("test-{:016x}", rand::random::<u64>()), url: url.to_owned() }
    }
}

impl Drop for TestNamespace {
    fn drop(&mut self) {
        let clean = || {
            let mut redis = redis::Client::open(self.url.as_str())?.get_connection()?;
            let keys: Vec<String> = redis.keys(format!("{}*", self.name))?;
            if keys.is_empty() { Ok(0) } else { redis.del(keys) }
        };
        let cleaned: redis::RedisResult<usize> = clean();
        if let Err(error) = cleaned {
            eprintln!("the keys of {} stay behind: {error}", self.name);
        }
    }
}
