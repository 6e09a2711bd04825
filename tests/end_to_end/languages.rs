//! The language of a reader, on sockets and event streams and in the terminal.

use galley_tests::command_output::run;
use galley_tests::json::{id, text};
use galley_tests::{StackBuilder, TestSocket};
use serde_json::json;
use tokio_tungstenite::tungstenite::http::HeaderValue;

on_both_deployments!(a_socket_speaks_the_language_of_its_reader_from_the_handshake_to_the_end);
async fn a_socket_speaks_the_language_of_its_reader_from_the_handshake_to_the_end(
    stack: StackBuilder,
) {
    let (_stack, client, hero, meal) = stack.delay("1h").start_with_hero_and_meal().await;
    let (_, refused) = client.refused("?hero_id=999&lang=fr").await;
    assert_eq!(text(&refused, "detail"), "il n'y a pas de héros 999");
    let mut french = client.connect_with(&format!("?hero_id={hero}&lang=fr-CA")).await;
    let mut english = client.connect_with(&format!("?hero_id={hero}&lang=tlh")).await;
    assert!(text(&french.welcome, "help").starts_with("tapez : menu | order <plat>"));
    assert!(text(&english.welcome, "help").starts_with("type: menu | order <meal>"));
    for (typed, detail) in [
        ("ordr 2", "il n'y a pas de commande `ordr` ; vouliez-vous dire `order` ?"),
        ("order soup", "usage : order <plat>, par exemple : order 2"),
        ("{\"type\":\"get\"}", "#/order_id est obligatoire"),
        ("watch", "seul le personnel suit toutes les commandes ; connectez-vous sans héros"),
    ] {
        french.say(typed).await;
        assert_eq!(text(&french.until_type("error").await["problem"], "detail"), detail);
    }
    french.say("help").await;
    assert!(text(&french.until_type("reply").await, "help").starts_with("tapez"));

    let order = id(&client.place(hero, meal).await);
    client.cancel(order).await.is(200);
    for (socket, message) in [
        (&mut french, "Annulée à la demande du héros"),
        (&mut english, "Cancelled at the hero's request"),
    ] {
        assert_eq!(text(&socket.until_status(order, "CANCELLED").await, "message"), message);
    }
    let again = french.problem(json!({"type": "cancel", "order_id": order})).await;
    assert_eq!(text(&again, "detail"), format!("la commande {order} est déjà annulée"));
    assert_eq!(text(&again["order"], "message"), "Annulée à la demande du héros");
}

on_both_deployments!(an_allergy_is_told_in_the_language_of_each_socket_and_stream);
async fn an_allergy_is_told_in_the_language_of_each_socket_and_stream(stack: StackBuilder) {
    let stack = stack.start().await;
    let client = stack.client();
    let hero = client.create_hero("Zoé", &["nut"]).await;
    let meal = client.create_meal("Cake", &["Nut"]).await;
    let mut handshake = client.handshake(&format!("?hero_id={hero}"));
    handshake.headers_mut().insert("accept-language", HeaderValue::from_static("fr, en;q=0.1"));
    let mut french = TestSocket::open(handshake).await.expect("a socket");
    let mut english = client.connect(hero).await;
    let mut staff = client.connect_with("?lang=fr").await;
    staff.reply(json!({"type": "watch"})).await;
    let events = client.get(&format!("/heroes/{hero}/events")).header("accept-language", "fr");
    let mut events = events.listen().await.expect("a stream");

    let order = id(&client.place(hero, meal).await);
    let in_french = "Conflit d'allergie : Nut";
    assert_eq!(text(&french.until_status(order, "CANCELLED").await, "message"), in_french);
    let told = english.until_status(order, "CANCELLED").await;
    assert_eq!(text(&told, "message"), "Allergy conflict: Nut");
    let feed = staff
        .until("the end of the order in the feed", |frame| {
            frame["orders"][0]["status"] == "CANCELLED"
        })
        .await;
    assert_eq!(text(&feed["orders"][0], "message"), in_french);
    let mut told = events.until_type("order").await;
    while told["order"]["status"] != "CANCELLED" {
        told = events.until_type("order").await;
    }
    assert_eq!(text(&told["order"], "message"), in_french);
}

on_both_deployments!(the_command_line_shows_problems_in_the_language_of_the_locale);
async fn the_command_line_shows_problems_in_the_language_of_the_locale(stack: StackBuilder) {
    let stack = stack.start().await;
    let url = stack.client().base().to_owned();
    let get = ["order", "get", "7", "--url", &url];
    for (variables, problem) in [
        (&[("LANG", "fr_FR.UTF-8")][..], "Commande introuvable: il n'y a pas de commande 7"),
        (&[("LANG", "de_DE"), ("LC_ALL", "fr_CA")], "Commande introuvable: "),
        (&[("LANG", "fr_FR"), ("LC_MESSAGES", "C")], "Order not found: there is no order 7"),
    ] {
        let cleared = [("LC_ALL", ""), ("LC_MESSAGES", ""), ("LANG", "")];
        let output = run("galley", &get, &[&cleared, variables].concat()).await;
        assert!(output.stderr.contains(problem), "{output:?}");
    }
}
