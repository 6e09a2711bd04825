use galley_protocol::{Language, ProblemType};
use serde_json::json;

use crate::rest_stack::{RestAnswer, RestStack};

async fn ask(stack: &RestStack, languages: &str, path: &str) -> RestAnswer {
    stack.send("GET", path, &[("accept-language", languages)], "").await
}

#[tokio::test]
async fn every_type_of_problem_is_explained_in_every_language() {
    let stack = RestStack::start().await;
    for language in Language::all() {
        for kind in ProblemType::ALL {
            let path = format!("/problems/{}", kind.slug());
            let answer = ask(&stack, language.code(), &path).await;
            assert_eq!(answer.header("content-language"), language.code());
            let meaning = answer.body();
            assert_eq!(meaning["title"], language.title(*kind));
            assert_eq!(meaning["explanation"], language.explanation(*kind));
        }
    }
}

#[tokio::test]
async fn a_problem_is_told_in_the_language_that_the_reader_likes_best() {
    let stack = RestStack::start().await;
    let (english, french) = ("there is no order 7", "il n'y a pas de commande 7");
    for (languages, language, detail) in [
        ("fr", "fr", french),
        ("FR-CA", "fr", french),
        ("fr-CH, fr;q=0.9, en;q=0.8, *;q=0.5", "fr", french),
        ("de, fr;q=0.2, en;q=0.1", "fr", french),
        ("en;q=0.9, fr;q=0.8", "en", english),
        ("fr;q=0", "en", english),
        ("fr;q=0, *", "en", english),
        ("tlh, de", "en", english),
        ("*", "en", english),
        ("", "en", english),
        (";;q=,,", "en", english),
    ] {
        let answer = ask(&stack, languages, "/orders/7").await;
        assert_eq!(answer.problem(404, "order-not-found")["detail"], detail, "{languages}");
        assert_eq!(answer.header("content-language"), language, "{languages}");
        let varies: Vec<&str> =
            answer.headers.get_all("vary").iter().filter_map(|line| line.to_str().ok()).collect();
        assert!(varies.join(", ").contains("accept-language"), "{varies:?}");
    }
    assert_eq!(stack.get("/orders/7").await.body()["detail"], english);
    let lines = [("accept-language", "de"), ("accept-language", "fr")];
    let answer = stack.send("GET", "/orders/7", &lines, "").await;
    assert_eq!(answer.body()["detail"], french, "several lines are one list");
}

#[tokio::test]
async fn every_wrong_field_and_parameter_is_named_in_the_language_of_the_reader() {
    let stack = RestStack::start().await;
    let french = [("accept-language", "fr"), ("content-type", "application/json")];
    let body = json!({"name": " ", "price": 1.005, "ingredients": ["a\u{7}"], "x": 1});
    let answer = stack.send("POST", "/meals", &french, body.to_string()).await;
    let problem = answer.problem(422, "validation-failed");
    assert_eq!(problem["title"], "Données incorrectes");
    assert_eq!(problem["detail"], "#/name ne doit pas être vide (et 4 de plus)");
    let details: Vec<_> = problem["errors"].as_array().expect("errors").iter().collect();
    assert_eq!(details[0]["detail"], "ne doit pas être vide");
    assert_eq!(
        details[1]["detail"],
        "ne doit pas contenir U+0007 (un caractère de contrôle), qui est le caractère 2"
    );
    assert_eq!(details[2]["detail"], "doit avoir au plus deux décimales");
    assert_eq!(details[3]["detail"], "est obligatoire");
    assert_eq!(details[4]["detail"], "n'est pas un champ connu");
    for (path, detail) in [
        ("/orders?limit=0", "?limit doit être un nombre entier de 1 à 100"),
        ("/orders?stauts=A", "?stauts n'est pas un paramètre connu"),
        ("/orders/x", "/{id} doit être un nombre entier de 1 à 9007199254740991"),
        ("/nowhere", "il n'y a rien à /nowhere"),
    ] {
        assert_eq!(ask(&stack, "fr", path).await.body()["detail"], detail, "{path}");
    }
}

#[tokio::test]
async fn the_message_of_an_order_is_in_the_language_of_the_reader_unless_a_person_wrote_it() {
    let stack = RestStack::start().await;
    let (hero, meal) = (stack.hero("Zoé").await, stack.meal("Soup").await);
    let (own, written) = (stack.order(hero, meal).await, stack.order(hero, meal).await);
    let french = [("accept-language", "fr"), ("content-type", "application/json")];
    let cancel = async |order: i64, body: &'static str| {
        stack.send("POST", &format!("/orders/{order}/cancel"), &french, body).await
    };
    let cancelled = cancel(own, "{}").await;
    assert_eq!(cancelled.body()["message"], "Annulée à la demande du héros");
    assert_eq!(cancelled.header("content-language"), "fr");
    let reason = r#"{"reason": "Allergy conflict: me"}"#;
    assert_eq!(cancel(written, reason).await.body()["message"], "Allergy conflict: me");

    let again = cancel(own, "{}").await.problem(409, "already-finished");
    assert_eq!(again["detail"], format!("la commande {own} est déjà annulée"));
    assert_eq!(again["order"]["message"], "Annulée à la demande du héros");
    for path in ["/orders".to_owned(), format!("/heroes/{hero}/orders")] {
        let page = ask(&stack, "fr", &path).await.body();
        assert_eq!(page["items"][0]["message"], "Allergy conflict: me");
        assert_eq!(page["items"][1]["message"], "Annulée à la demande du héros");
    }
    let path = format!("/orders/{own}");
    assert_eq!(stack.get(&path).await.body()["message"], "Cancelled at the hero's request");
    let read = ask(&stack, "fr", &path).await;
    assert_eq!(read.body()["message"], "Annulée à la demande du héros");
    assert_eq!(read.body()["status"], "CANCELLED", "codes stay");
}
