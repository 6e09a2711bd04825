//! Obeys the behaviour suite of all clients, `tests/clients`: lines of JSON in and out.

use std::io::{Write as _, stdin, stdout};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use galley_client::{
    ClientError, ClientEvent, ClientEvents, ClientOptions, ClientState, GalleyClient, KeptInFile,
    ReconnectPause, TokenProvider, trusting,
};
use galley_protocol::{BearerToken, HeroId, MealId, OrderId, Watch};
use serde_json::{Value, json};
use tokio::sync::{OnceCell, mpsc};
use tokio::task::JoinSet;

type Client = Arc<OnceCell<GalleyClient>>;

#[tokio::main]
async fn main() {
    let (lines, mut requests) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        stdin().lines().map_while(Result::ok).try_for_each(|line| lines.send(line))
    });
    let client = Client::default();
    let mut tasks = JoinSet::new();
    while let Some(line) = requests.recv().await {
        let request: Value = serde_json::from_str(&line).expect("the suite speaks JSON");
        let client = Arc::clone(&client);
        tasks.spawn(async move {
            let answer = match obey(&client, &request).await {
                Ok(answer) => json!({"id": request["id"], "ok": answer}),
                Err(error) => json!({"id": request["id"], "error": error.code()}),
            };
            say(&answer);
        });
    }
    if let Some(client) = client.get() {
        client.close().await;
    }
}

async fn obey(client: &Client, request: &Value) -> Result<Value, ClientError> {
    let number = |name: &str| request[name].as_i64().unwrap_or_default();
    let order = || OrderId::new(number("order_id")).expect("an id");
    let what = request["do"].as_str().unwrap_or_default();
    let Some(galley) = client.get() else {
        if what == "open" {
            let (galley, events) = GalleyClient::start(options(request)?)?;
            tokio::spawn(tell(events));
            client.set(galley).unwrap_or_else(|_| panic!("one client"));
            client.get().expect("it was set").connected().await?;
        }
        return Ok(Value::Null);
    };
    match what {
        "place" => {
            let meal = MealId::new(number("meal_id")).expect("an id");
            galley.place(meal).await.map(|order| json!(order))
        }
        "cancel" => {
            let reason = request["reason"].as_str().unwrap_or_default();
            galley.cancel(order(), reason).await.map(|order| json!(order))
        }
        "get" => galley.get(order()).await.map(|order| json!(order)),
        "delete" => galley.delete(order()).await.map(|()| Value::Null),
        "watch" => galley.watch(Watch::all(None)).await.map(|_| Value::Null),
        "orders" => {
            let mut orders = galley.orders();
            orders.sort_by_key(|order| std::cmp::Reverse(order.id));
            Ok(json!(orders))
        }
        "close" => {
            galley.close().await;
            Ok(Value::Null)
        }
        other => panic!("nobody can {other}"),
    }
}

fn options(request: &Value) -> Result<ClientOptions, ClientError> {
    let mut options = ClientOptions::new(request["url"].as_str().unwrap_or_default());
    options.hero = request["hero_id"].as_i64().and_then(|id| HeroId::new(id).ok());
    options.pause =
        ReconnectPause { first: Duration::from_millis(20), longest: Duration::from_millis(100) };
    if let Some(tokens) = request["tokens"].as_array() {
        options.token = Some(provider(tokens));
    }
    if let Some(ca) = request["ca"].as_str() {
        options.tls = Some(trusting(Some(Path::new(ca)))?);
    }
    if let Some(store) = request["store"].as_str() {
        options.keeper = Arc::new(KeptInFile::at(store));
    }
    if let Some(most) = request["max_waiting"].as_u64() {
        options.max_waiting = usize::try_from(most).expect("a small number");
    }
    Ok(options)
}

/// Gives one token after the other, and the last one again and again.
fn provider(tokens: &[Value]) -> TokenProvider {
    let token = |token: &Value| BearerToken::parse(token.as_str().unwrap_or_default());
    let tokens: Vec<_> = tokens.iter().rev().map(token).collect();
    let tokens = Mutex::new(tokens);
    Arc::new(move || {
        let mut tokens = tokens.lock().unwrap_or_else(PoisonError::into_inner);
        let last = tokens.len() == 1;
        let token = if last { tokens.last().cloned() } else { tokens.pop() };
        let token = token.expect("there is one").map_err(|error| error.to_string());
        Box::pin(std::future::ready(token))
    })
}

/// Says what happens.
async fn tell(mut events: ClientEvents) {
    while let Some(event) = events.next().await {
        let mut told = match event {
            ClientEvent::State(state) => state_told(&state),
            ClientEvent::Change { orders, deleted } => {
                json!({"event": "change", "orders": orders, "deleted": deleted})
            }
            ClientEvent::Frame { text, .. } => {
                let frame: Value = serde_json::from_str(&text).expect("it was read");
                json!({"event": "frame", "frame": frame})
            }
            ClientEvent::Behind => panic!("the driver is too slow"),
        };
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        told["at"] = json!(since.as_secs_f64() * 1_000.0);
        say(&told);
    }
}

fn state_told(state: &ClientState) -> Value {
    let (name, cause) = match state {
        ClientState::Connecting => ("connecting", None),
        ClientState::Connected => ("connected", None),
        ClientState::Unresponsive => ("unresponsive", None),
        ClientState::Waiting { why, .. } => ("waiting", Some(why.cause.code())),
        ClientState::Closed { why } => ("closed", Some(why.cause.code())),
    };
    json!({"event": "state", "name": name, "cause": cause})
}

fn say(message: &Value) {
    let mut out = stdout().lock();
    // Without the suite nobody listens.
    let _ = writeln!(out, "{message}").and_then(|()| out.flush());
}
