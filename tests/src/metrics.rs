//! Reading the metrics of a gateway.

use crate::Client;

impl Client {
    /// The value of a series, named with its labels as `/metrics` writes it; 0 while nothing was counted.
    pub async fn metric(&self, series: &str) -> f64 {
        let text = self.get("/metrics").await.text;
        let value = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        value.map_or(0.0, |value| value.parse().unwrap_or_else(|error| panic!("{series} {value}: {error}")))
    }
}
