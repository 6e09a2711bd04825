//! Carries out a schedule on a stage, and mends everything in the end.

use std::fmt::Write as _;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::action::{Action, Step};
use super::meddler::Meddler;
use super::record::{Event, Recorder};
use super::stage::{Servers, Stage};
use crate::program::Signal;
use crate::proxy::Ways;

/// Redis takes nothing in below this.
const NO_ROOM: u64 = 1;

/// Breaks a stage.
#[derive(Debug)]
pub struct Breaker {
    stage: Stage,
    meddler: Option<Meddler>,
    recorder: Recorder,
    redis_is_away: bool,
    /// What was done so far, a line each.
    pub journal: String,
}

impl Breaker {
    /// Takes a stage in hand.
    #[must_use]
    pub fn new(stage: Stage, recorder: Recorder, seed: u64) -> Self {
        let meddler = |servers: &Servers| Meddler::new(&servers.redis.url(), &servers.postgres.url(), seed);
        let meddler = stage.servers.as_ref().map(meddler);
        Self { stage, meddler, recorder, redis_is_away: false, journal: String::new() }
    }

    /// The stage.
    pub fn stage(&mut self) -> &mut Stage {
        &mut self.stage
    }

    /// Carries out the schedule, and waits until this time has passed.
    pub async fn follow(&mut self, steps: &[Step], length: Duration) {
        let began = Instant::now();
        for step in steps {
            sleep_until(began + step.at).await;
            let effect = match self.act(step.action).await {
                Ok(()) => String::new(),
                Err(error) => format!(", without effect: {error}"),
            };
            let text = format!("{:>7.3} s {:?}{effect}", began.elapsed().as_secs_f64(), step.action);
            writeln!(self.journal, "{text}").expect("writing to memory does not fail");
            self.recorder.note(Event::Fault { step: text });
        }
        sleep_until(began + length).await;
    }

    /// Ends every fault: all servers and programs run.
    ///
    /// # Errors
    /// When a program has ended by itself.
    pub async fn mend(&mut self) -> Result<(), String> {
        self.stage.disk.empty();
        if let (Some(servers), Some(meddler)) = (&mut self.stage.servers, &mut self.meddler) {
            free(servers);
            if std::mem::take(&mut self.redis_is_away) {
                servers.redis.restart().await;
            }
            if !servers.postgres.is_running() {
                servers.postgres.restart().await;
            }
            meddler.bound_redis(0).await?;
            meddler.unlock().await?;
        }
        self.stage.revive()
    }

    async fn act(&mut self, action: Action) -> Result<(), String> {
        match action {
            Action::Kill(part) => self.stage.kill(part),
            Action::Start(part) => self.stage.start_again(part),
            Action::Retire(part) => self.stage.signal(part, Signal::TERM)?,
            Action::Pause(part) => self.stage.signal(part, Signal::STOP)?,
            Action::Continue(part) => self.stage.signal(part, Signal::CONT)?,
            Action::FillDisk => self.stage.disk.fill()?,
            Action::EmptyDisk => {
                self.stage.disk.empty();
                if let Some(servers) = &mut self.stage.servers
                    && !servers.postgres.is_running()
                {
                    servers.postgres.restart().await;
                }
            }
            Action::KillRedis
            | Action::StartRedis
            | Action::FillRedis
            | Action::EmptyRedis
            | Action::Meddle(_)
            | Action::CrashPostgres
            | Action::StartPostgres
            | Action::Obstruct(_)
            | Action::Cut(_)
            | Action::Slow(..)
            | Action::Mute(_)
            | Action::Stall(_)
            | Action::Free(_) => self.act_on_servers(action).await?,
        }
        Ok(())
    }

    async fn act_on_servers(&mut self, action: Action) -> Result<(), String> {
        let (Some(servers), Some(meddler)) = (&mut self.stage.servers, &mut self.meddler) else {
            return Err("an embedded service has no servers".to_owned());
        };
        match action {
            Action::KillRedis => {
                servers.redis.kill();
                self.redis_is_away = true;
            }
            Action::StartRedis => {
                servers.redis.restart().await;
                self.redis_is_away = false;
            }
            Action::FillRedis => meddler.bound_redis(NO_ROOM).await?,
            Action::EmptyRedis => meddler.bound_redis(0).await?,
            Action::Meddle(mischief) => meddler.meddle(mischief).await?,
            Action::CrashPostgres => servers.postgres.crash(),
            Action::StartPostgres => servers.postgres.restart().await,
            Action::Obstruct(obstacle) => meddler.obstruct(obstacle).await?,
            Action::Cut(link) => servers.link(link).cut(),
            Action::Slow(link, delay) => servers.link(link).slow(delay),
            Action::Mute(link) => servers.link(link).stall(Ways { to_server: true, to_clients: false }),
            Action::Stall(link) => servers.link(link).stall(Ways { to_server: true, to_clients: true }),
            Action::Free(link) => {
                servers.link(link).stall(Ways::default());
                servers.link(link).slow(Duration::ZERO);
            }
            Action::Kill(_)
            | Action::Retire(_)
            | Action::Start(_)
            | Action::Pause(_)
            | Action::Continue(_)
            | Action::FillDisk
            | Action::EmptyDisk => return Err("no server has to do with it".to_owned()),
        }
        Ok(())
    }
}

fn free(servers: &Servers) {
    use super::action::Link::{GatewaysToPostgres, GatewaysToRedis, WorkersToPostgres, WorkersToRedis};
    for link in [GatewaysToPostgres, WorkersToPostgres, GatewaysToRedis, WorkersToRedis] {
        servers.link(link).stall(Ways::default());
        servers.link(link).slow(Duration::ZERO);
    }
}
