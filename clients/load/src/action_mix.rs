//! The actions of a load, and the weights by which they are chosen.

use std::fmt;
use std::str::FromStr;

use rand::RngExt as _;
use rand::rngs::SmallRng;
use serde::{Deserialize, Serialize};

/// A kind of request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActionKind {
    Place,
    Cancel,
    Delete,
    Read,
}

/// The weight of each kind of request, as in `place=70,cancel=20,read=10`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionMix {
    weights: [u32; 4],
}

const KINDS: [(&str, ActionKind); 4] = [
    ("place", ActionKind::Place),
    ("cancel", ActionKind::Cancel),
    ("delete", ActionKind::Delete),
    ("read", ActionKind::Read),
];

impl ActionMix {
    /// Chooses a kind of request.
    pub fn choose(&self, random: &mut SmallRng) -> ActionKind {
        let mut left = random.random_range(0..self.weights.iter().sum());
        for ((_, kind), weight) in KINDS.iter().zip(self.weights) {
            if left < weight {
                return *kind;
            }
            left -= weight;
        }
        ActionKind::Place
    }
}

impl FromStr for ActionMix {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut weights = [0; 4];
        for part in text.split(',') {
            let (name, weight) = part.split_once('=').unwrap_or((part, ""));
            let known = KINDS.iter().position(|(kind, _)| *kind == name.trim());
            // Few digits, so that no sum overflows.
            let weight = weight.trim().parse::<u16>().ok();
            let (Some(known), Some(weight)) = (known, weight) else {
                return Err(format!(
                    "`{part}` is not place, cancel, delete or read with a weight from 0 to 65535, \
                     as in place=70,cancel=20,delete=5,read=5"
                ));
            };
            weights[known] = weight.into();
        }
        if weights[0] == 0 {
            return Err("place needs a weight: the others act on orders of this test".to_owned());
        }
        Ok(Self { weights })
    }
}

impl fmt::Display for ActionMix {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = KINDS.iter().zip(self.weights).filter(|(_, weight)| *weight > 0);
        let parts: Vec<_> = parts.map(|((name, _), weight)| format!("{name}={weight}")).collect();
        formatter.write_str(&parts.join(","))
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use rand::rngs::SmallRng;

    use super::{ActionKind, ActionMix};

    #[test]
    fn kinds_come_by_their_weights() {
        let mix: ActionMix = "place=3, read=1".parse().expect("a mix");
        assert_eq!(mix.to_string(), "place=3,read=1");
        let mut random = SmallRng::seed_from_u64(1);
        let kinds: Vec<_> = (0..4_000).map(|_| mix.choose(&mut random)).collect();
        let places = kinds.iter().filter(|kind| **kind == ActionKind::Place).count();
        assert!((2_900..3_100).contains(&places), "{places}");
        assert!(kinds.iter().all(|kind| matches!(kind, ActionKind::Place | ActionKind::Read)));
        for wrong in ["", "place", "place=x", "cook=1", "read=1", "place=0,read=1", "place=-1"] {
            assert!(wrong.parse::<ActionMix>().is_err(), "{wrong:?}");
        }
    }
}
