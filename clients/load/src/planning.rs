//! The load split into one plan per engine.

use crate::credentials::Credentials;
use crate::gateway_addresses;
use crate::load_arguments::LoadArguments;
use crate::load_settings::{LoadSettings, millis};
use crate::plan::Plan;

impl LoadSettings {
    /// Returns a plan for each engine, with its share of everything.
    pub fn plans(
        &self,
        arguments: &LoadArguments,
        heroes: &[i64],
        meals: &[i64],
        credentials: &Credentials,
    ) -> Vec<Plan> {
        let engines = self.processes;
        let random = rand::random();
        let count =
            |number: usize| u32::try_from(number).expect("there are at most 1,000 processes");
        let part =
            |whole: usize, number: usize| whole / engines + usize::from(number < whole % engines);
        let of_hero = |hero: usize| {
            self.sockets / self.heroes + usize::from(hero < self.sockets % self.heroes)
        };
        let plan = |number: usize, heroes: Vec<i64>| Plan {
            number: count(number),
            engines: count(engines),
            seed: arguments.seed,
            gateways: self.gateways.clone(),
            hosts: arguments.url.iter().map(gateway_addresses::host).collect(),
            path: arguments.url[0].path().trim_end_matches('/').to_owned(),
            tls: self.tls.clone(),
            sources: self.sources.clone(),
            tokens: credentials.tokens(&heroes),
            heroes,
            ordering: part(self.ordering, number),
            meals: meals.to_vec(),
            sockets: (number..self.heroes).step_by(engines).map(of_hero).sum(),
            dashboards: part(self.dashboards, number),
            profile: self.profile.clone(),
            all_heroes: self.heroes,
            mix: arguments.mix,
            keys: self.keys,
            run: random,
            stream_permille: self.stream_permille,
            slow_permille: self.slow_permille,
            slow_rate: arguments.slow_rate,
            ramp: arguments.ramp,
            pace: self.pace.clone(),
            burst: self.burst,
            rest: self.rest.map(|rest| part(rest, number)),
            storm: self.storm,
            duration: millis(arguments.load_time()),
            settle: millis(arguments.settle),
            delay: arguments
                .delay
                .map(|delay| i64::try_from(delay.as_millis()).unwrap_or(i64::MAX)),
        };
        let own = |number| heroes.iter().skip(number).step_by(engines).copied().collect();
        (0..engines).map(|number| plan(number, own(number))).collect()
    }
}
