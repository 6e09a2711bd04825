//! Texts typed by people: deceptive and invisible ones are refused, different spellings are found
//! and compared, and texts from before a rule stay readable.

use galley_tests::json::{id, list, text};
use galley_tests::{StackBuilder, TestClient, TestStack};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, SqliteConnection};

/// Deceptive texts, each with the name of its offending character.
const DECEIVING: [(&str, &str); 6] = [
    ("abc\u{202e}def", "U+202E (a bidirectional control), which is character 4"),
    ("\u{200f}abc", "U+200F (a bidirectional control), which is character 1"),
    ("ab\u{2066}c", "U+2066 (a bidirectional control), which is character 3"),
    ("a\u{61c}bc", "U+061C (a bidirectional control), which is character 2"),
    ("abc\u{e0041}", "U+E0041 (an invisible tag), which is character 4"),
    ("a\u{7}bc", "U+0007 (a control character), which is character 2"),
];

/// Texts without a visible character.
const INVISIBLE: [&str; 5] =
    ["\u{200b}", "\u{2800}", "\u{3164}\u{115f}", "\u{feff} \u{ad}", "\u{200d}\u{fe0f}"];

/// Every body with this text in it, and the pointer to it.
fn bodies(text: &str) -> [(&'static str, Value, &'static str); 6] {
    [
        ("/heroes", json!({"name": text, "planet": "B"}), "#/name"),
        ("/heroes", json!({"name": "A", "planet": text}), "#/planet"),
        (
            "/heroes",
            json!({"name": "A", "planet": "B", "allergies": ["ok", text]}),
            "#/allergies/1",
        ),
        ("/meals", json!({"name": text, "origin_planet": "B", "price": 1}), "#/name"),
        (
            "/meals",
            json!({"name": "A", "origin_planet": "B", "price": 1, "ingredients": [text]}),
            "#/ingredients/0",
        ),
        (
            "/meals",
            json!({"name": "A", "origin_planet": "B", "price": 1, "description": text}),
            "#/description",
        ),
    ]
}

/// Expects the text to be refused in every body with this detail.
async fn assert_refused(client: &TestClient, wrong: &str, detail: &str) {
    for (path, body, pointer) in bodies(wrong) {
        let problem = client.post(path, &body).await.problem(422, "validation-failed");
        assert_eq!(problem["errors"], json!([{"pointer": pointer, "detail": detail}]), "{wrong:?}");
    }
}

on_both_deployments!(what_deceives_is_refused_by_its_name_and_its_place);
async fn what_deceives_is_refused_by_its_name_and_its_place(stack: StackBuilder) {
    let (_stack, client, hero, meal) = stack.delay("1h").start_with_hero_and_meal().await;
    let order = id(&client.place(hero, meal).await);
    let mut socket = client.connect(hero).await;
    for (wrong, named) in DECEIVING {
        let detail = format!("must not contain {named}");
        assert_refused(&client, wrong, &detail).await;
        let cancel =
            client.post(&format!("/orders/{order}/cancel"), &json!({"reason": wrong})).await;
        assert_eq!(cancel.problem(422, "validation-failed")["errors"][0]["detail"], *detail);
        let url = reqwest::Url::parse_with_params("http://a/", [("reason", wrong)]).expect("a URL");
        let delete =
            client.delete(&format!("/orders/{order}?{}", url.query().expect("a query"))).await;
        assert_eq!(delete.problem(400, "invalid-parameter")["errors"][0]["detail"], *detail);
        let problem = socket
            .problem(json!({"type": "cancel", "id": 1, "order_id": order, "reason": wrong}))
            .await;
        assert_eq!(problem["errors"][0], json!({"pointer": "#/reason", "detail": detail}));
    }
    client.until_status(order, "IN_PROGRESS").await;
}

on_both_deployments!(what_nobody_sees_makes_no_text);
async fn what_nobody_sees_makes_no_text(stack: StackBuilder) {
    let stack = stack.start().await;
    let client = stack.client();
    for wrong in INVISIBLE {
        assert_refused(&client, wrong, "must hold a character that can be seen").await;
        let url = reqwest::Url::parse_with_params("http://a/", [("q", wrong)]).expect("a URL");
        for path in ["/heroes", "/meals"] {
            let answer = client.get(&format!("{path}?{}", url.query().expect("a query"))).await;
            let detail = &answer.problem(400, "invalid-parameter")["errors"][0]["detail"];
            assert_eq!(detail, "must hold a character that can be seen");
        }
    }
}

on_both_deployments!(what_scripts_and_emoji_need_is_taken_and_found);
async fn what_scripts_and_emoji_need_is_taken_and_found(stack: StackBuilder) {
    let stack = stack.start().await;
    let client = stack.client();
    for (name, wanted) in [
        ("👨\u{200d}👩\u{200d}👧\u{200d}👦", "👩"),
        ("می\u{200c}گو", "میگو"),
        ("क्\u{200d}ष", "क्ष"),
        ("Zo\u{200b}é\u{ad}!", "zo\u{feff}e\u{202e}!"),
        ("❤\u{fe0f} soup", "❤ SOUP"),
        ("ΦΑΚΈΣ", "φακές"),
    ] {
        client.create_hero(name, &[]).await;
        client.create_meal(name, &[]).await;
        let url = reqwest::Url::parse_with_params("http://a/", [("q", wanted)]).expect("a URL");
        for path in ["/heroes", "/meals"] {
            let found = client.all(&format!("{path}?{}", url.query().expect("a query"))).await;
            let names: Vec<&str> = found.iter().map(|found| text(found, "name")).collect();
            assert_eq!(names, [name], "{wanted:?}");
        }
    }
}

on_both_deployments!(no_spelling_hides_an_allergy);
async fn no_spelling_hides_an_allergy(stack: StackBuilder) {
    let stack = stack.delay("0s").start().await;
    let client = stack.client();
    for (allergy, ingredients, named) in [
        ("ΦΑΚΈΣ", ["φακές", "water"], "φακές"),
        ("ERDNUSS", ["water", "Erdnuß"], "Erdnuß"),
        ("pea\u{200b}nut", ["peanut", "PEA\u{ad}NUT"], "peanut, PEA\u{ad}NUT"),
        ("\u{feff}peanut", ["ｐｅａｎｕｔ", "nut"], "ｐｅａｎｕｔ"),
        ("ﬁsh", ["FISH", "fishes"], "FISH"),
        ("İncir", ["incir", "i"], "incir"),
        ("CRÈME\u{2800}FRAÎCHE", ["creme  fraiche", "creme"], "creme  fraiche"),
    ] {
        let (hero, meal) = (
            client.create_hero("Zoé", &[allergy]).await,
            client.create_meal("Soup", &ingredients).await,
        );
        let order = client.until_status(id(&client.place(hero, meal).await), "CANCELLED").await;
        assert_eq!(text(&order, "reason"), "allergy");
        assert!(text(&order, "message").ends_with(named), "{order}");
    }
    let hero = client.create_hero("Zoé", &["peanut"]).await;
    let meal = client.create_meal("Toast", &["peanuts", "peanut butter"]).await;
    client.until_status(id(&client.place(hero, meal).await), "COMPLETED").await;
}

/// Runs a statement directly on the database.
async fn sql(stack: &TestStack, statement: &str) {
    let (url, statement) = (stack.database_url(), AssertSqlSafe(statement.to_owned()));
    if url.starts_with("sqlite:") {
        let mut connection = SqliteConnection::connect(url).await.expect("the file can be opened");
        sqlx::raw_sql(statement).execute(&mut connection).await.expect("a statement");
    } else {
        let mut connection = PgConnection::connect(url).await.expect("the database answers");
        sqlx::raw_sql(statement).execute(&mut connection).await.expect("a statement");
    }
}

on_both_deployments!(a_text_from_before_a_rule_can_be_read_and_is_refused_when_it_is_put_back);
async fn a_text_from_before_a_rule_can_be_read_and_is_refused_when_it_is_put_back(
    stack: StackBuilder,
) {
    let (stack, client, hero, meal) = stack.delay("0s").start_with_hero_and_meal().await;
    let order = id(&client.place(hero, meal).await);
    sql(&stack, "update heroes set name = 'ev\u{202e}il', planet = '\u{200b}'; update meals set name = '\u{3164}'").await;
    let old = client.get(&format!("/heroes/{hero}")).await.is(200);
    assert_eq!((text(&old, "name"), text(&old, "planet")), ("ev\u{202e}il", "\u{200b}"));
    assert_eq!((client.all("/heroes").await.len(), client.all("/meals").await.len()), (1, 1));
    client.until_status(order, "COMPLETED").await;
    assert_eq!(
        list(&client.galley_json(&["hero", "list"]).await, "items"),
        std::slice::from_ref(&old)
    );
    assert_eq!(client.galley(&["order", "list"]).await.code, 0);
    let back = client
        .put(&format!("/heroes/{hero}"), &json!({"name": old["name"], "planet": old["planet"]}))
        .await;
    let problem = back.problem(422, "validation-failed");
    assert_eq!(
        problem["errors"][0]["detail"],
        "must not contain U+202E (a bidirectional control), which is character 3"
    );
    assert_eq!(
        problem["errors"][1],
        json!({"pointer": "#/planet", "detail": "must hold a character that can be seen"})
    );
    let mended = client.patch(&format!("/heroes/{hero}"), &json!({"planet": "Mars"})).await.is(200);
    assert_eq!((text(&mended, "name"), text(&mended, "planet")), ("ev\u{202e}il", "Mars"));
}

on_both_deployments!(no_text_forges_a_row_on_a_terminal);
async fn no_text_forges_a_row_on_a_terminal(stack: StackBuilder) {
    let (stack, client, hero, meal) = stack.delay("0s").start_with_hero_and_meal().await;
    let order = client.place_until(hero, meal, "COMPLETED").await;
    let evil = "Zoé\n999  Forged  Mars\u{1b}[1A\u{9b}31m\u{202e}x\u{e0041}\u{2028}\u{200b}\r888";
    let statement = format!(
        "update heroes set name = '{evil}', planet = '{evil}'; update meals set name = '{evil}', description = '{evil}', origin_planet = '{evil}'"
    );
    sql(&stack, &statement).await;
    let (hero, meal, order) = (hero.to_string(), meal.to_string(), order.to_string());
    for command in [
        &["hero", "list"][..],
        &["hero", "get", &hero],
        &["meal", "list"],
        &["meal", "get", &meal],
        &["order", "list"],
        &["order", "get", &order],
    ] {
        let said = client.galley(command).await;
        assert_eq!(said.code, 0, "{said:?}");
        let raw = |letter: char| letter.is_control() && letter != '\n';
        assert!(!said.stdout.contains(raw), "{command:?}: {:?}", said.stdout);
        assert!(
            !said.stdout.contains(['\u{202e}', '\u{e0041}', '\u{2028}', '\u{200b}']),
            "{command:?}: {:?}",
            said.stdout
        );
        assert!(
            said.stdout.contains("Zoé 999 Forged Mars·[1A·31m·x·"),
            "{command:?}: {:?}",
            said.stdout
        );
        assert!(
            !said.stdout.lines().any(|line| line.starts_with("999") || line.starts_with("888")),
            "{:?}",
            said.stdout
        );
        if command[1] == "list" {
            assert_eq!(said.stdout.lines().count(), 2, "{:?}", said.stdout);
        }
    }
}
