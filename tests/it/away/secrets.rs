//! What the log, the metrics, the answers and traces say of secrets, however much there is to say.

use std::cell::RefCell;

use jsonwebtoken::Algorithm::HS256;

use super::looks::{awaits, shared_neighbours};
use crate::harness::*;
use crate::servers::{self, Conduct, Stub};
use crate::traces::collector::{self, Collector};

const SECRET: &str = "the-secret-that-signs-tokens-of-this-test";
const PREVIOUS: &str = "the-secret-that-signed-tokens-before-that";
const ADMIN: &str = "the-token-of-the-operators-of-this-test";
const WRONG_ADMIN: &str = "the-token-of-nobody-who-is-an-operator";
/// Passwords of services, each in the address of one.
const QUESTIONS: &str = "password-of-the-question-service";
const USERS: &str = "password-of-the-user-service";
const COLLECTOR: &str = "password-of-the-collector";
/// The password that no server takes.
const REFUSED: &str = "password-that-is-refused";
const QUESTION: &str = r#"[{"id": 1, "title": "One", "difficulty": "easy", "topics": ["Array"]}]"#;

/// A server outside dev that says all that it can, and what must never be told of it.
struct Scene {
    server: Server,
    questions: Stub,
    users: Stub,
    collector: Collector,
    tokens: RefCell<Vec<String>>,
    /// All that it has answered.
    told: RefCell<Vec<String>>,
}

impl Scene {
    async fn start() -> Self {
        let questions = Stub::new(Conduct::Answer(200, QUESTION.into())).await;
        let users = Stub::new(Conduct::Answer(200, "{}".into())).await;
        let collector = Collector::start(collector::Conduct::Take);
        let with = |url: String, password: &str| url.replace("://", &format!("://u:{password}@"));
        let server = Options::on(Backends::from(shared_neighbours()))
            .with("ENV", "production")
            .with("LOG_LEVEL", "TRACE")
            .with("AUTH_ACCESS_SECRET", SECRET)
            .with("AUTH_ACCESS_SECRET_PREVIOUS", PREVIOUS)
            .with("ADMIN_TOKEN", ADMIN)
            .with("QUESTION_SERVICE_URL", with(questions.base(), QUESTIONS))
            .with("USER_SERVICE_URL", with(users.base(), USERS))
            .with("AUTH_VERIFY_WITH_USER_SERVICE", true)
            .with(
                "OTEL_EXPORTER_OTLP_ENDPOINT",
                with(collector.url(), COLLECTOR),
            )
            .start()
            .await;
        Self {
            server,
            questions,
            users,
            collector,
            tokens: RefCell::default(),
            told: RefCell::default(),
        }
    }

    /// A user whose token is signed with `secret`.
    fn user(&self, id: &str, secret: &str) -> User {
        let token = tokens::signed_with(&tokens::claims(id), secret, HS256);
        self.tokens.borrow_mut().push(token.clone());
        User::new(self.server.api(), id, token)
    }

    /// Sends it, and keeps what is answered.
    async fn send(&self, request: Request) -> Reply {
        let reply = request.send().await;
        let told = format!("{:?} {}", reply.headers, reply.text);
        self.told.borrow_mut().push(told);
        reply
    }

    /// Two meet while the services fail, and after that.
    async fn meet(&self) {
        let (ada, bob) = (self.user("ada", SECRET), self.user("bob", PREVIOUS));
        let screen = ada.connect().await;
        let pair = scenes::pair_up(ada, bob, "Array").await;
        for user in [&pair.first, &pair.second] {
            self.questions.now(Conduct::Close);
            self.send(user.answering(&pair.match_id, true)).await;
            self.questions.now(Conduct::Garbage);
            self.send(user.answering(&pair.match_id, true)).await;
        }
        self.questions.now(Conduct::Answer(200, QUESTION.into()));
        eventually("the session opens", async || {
            let reply = self.send(pair.second.answering(&pair.match_id, true)).await;
            (reply.status == 200).then_some(())
        })
        .await;
        let session = screen.next_event("match_ready").await;
        let session = text(&session, "session_id");
        self.send(pair.first.leaving(session)).await.expect(200);
        for fault in [Conduct::Close, Conduct::Answer(500, "{}".into())] {
            self.users.now(fault);
            let newcomer = self.user("newcomer", SECRET);
            self.send(newcomer.asking("Easy", "Heap")).await.expect(503);
        }
    }

    /// Tokens of every kind that is not good, wherever a token may stand, and wherever it may not.
    async fn try_in_vain(&self) {
        let expired = tokens::claims_with("eve", "exp", json!(tokens::in_seconds(-3_600)));
        let forged = [
            tokens::tampered("eve"),
            tokens::unsigned("eve"),
            tokens::confused("eve"),
            tokens::signed_with(&tokens::claims("eve"), "a guess", HS256),
            tokens::signed_with(&expired, SECRET, HS256),
        ];
        for token in forged {
            let get = |path: &str| self.server.request(Method::GET, path);
            let active = format!("{PREFIX}/sessions/active");
            self.send(get(&active).bearer(&token)).await.expect(401);
            let in_query = format!("{active}?token={token}");
            self.send(get(&in_query)).await.expect(401);
            let in_cookie = get(&active).header("cookie", format!("token={token}"));
            self.send(in_cookie).await.expect(401);
            let in_path = format!("{PREFIX}/{token}/status");
            self.send(get(&in_path)).await.expect(404);
            self.send(get("/metrics").bearer(&token)).await.expect(401);
            for path in [
                format!("/ws?token={token}"),
                format!("/ws?a=b&token={token}&"),
            ] {
                let socket = Socket::open(self.server.api(), &path, &[]).await;
                socket.expect_close(4401).await;
            }
            self.tokens.borrow_mut().push(token);
        }
        let wrong = self.server.request(Method::GET, "/debug/actors");
        self.send(wrong.bearer(WRONG_ADMIN)).await.expect(401);
    }

    /// What operators see.
    async fn look(&self) {
        for path in ["/metrics", "/debug/actors"] {
            let request = self.server.request(Method::GET, path);
            let request = request.header("authorization", format!("Bearer {ADMIN}"));
            self.send(request).await.expect(200);
        }
    }
}

/// What the server has written, as soon as this stands in it.
async fn output_to(server: &Server, last: &str) -> String {
    let written = async || Some(server.output()).filter(|output| output.contains(last));
    eventually(&format!("the log says {last}"), written).await
}

/// Fails where one of these stands in the text, as it is, as its bytes or in part.
fn assert_untold(secrets: &[&str], place: &str, text: &str) {
    for secret in secrets {
        let bytes: Vec<String> = secret.bytes().map(|it| it.to_string()).collect();
        // The first part of a token is the same for all of them, the others are long enough.
        let parts = secret
            .split('.')
            .filter(|part| !part.starts_with("eyJ0eX") && part.len() >= 16);
        let parts = parts.map(str::to_owned);
        let spellings = [(*secret).to_owned(), bytes.join(", ")];
        for spelling in spellings.into_iter().chain(parts) {
            let found = text.lines().find(|line| line.contains(&spelling));
            assert_eq!(found, None, "{place} tells {secret}");
        }
    }
}

#[actix_rt::test]
async fn a_busy_server_whose_services_fail_tells_nobody_a_secret_or_a_token() {
    let scene = Scene::start().await;

    scene.meet().await;
    scene.try_in_vain().await;
    scene.look().await;
    scene.server.terminate().await;

    let output = output_to(&scene.server, "\"stopped\"").await;
    for work in ["became session", "gave no question", "503, because", "***"] {
        assert!(output.contains(work), "{work}: {output}");
    }
    let tokens = scene.tokens.take();
    let passwords = [QUESTIONS, USERS, COLLECTOR, servers::PASSWORD];
    let secrets = [SECRET, PREVIOUS, ADMIN, WRONG_ADMIN].into_iter();
    let secrets = secrets.chain(passwords);
    let secrets: Vec<&str> = secrets.chain(tokens.iter().map(String::as_str)).collect();
    assert_untold(&secrets, "the log", &output);
    for told in scene.told.take() {
        assert_untold(&secrets, "an answer", &told);
    }
    let spans = scene.collector.spans();
    assert!(spans.iter().any(|span| span.name == "question service"));
    for span in spans {
        assert_untold(&secrets, "a trace", &span.text);
    }
}

#[actix_rt::test]
async fn no_password_that_a_neighbour_refuses_is_told_at_any_level() {
    let neighbours = shared_neighbours();
    let refused = |url: String| url.replace(servers::PASSWORD, REFUSED);
    let database = refused(neighbours.database.url());
    let (redis, rabbitmq) = (
        refused(neighbours.number.url()),
        refused(neighbours.vhost.url()),
    );
    let options = Options::on(Backends::from(neighbours)).with("LOG_LEVEL", "TRACE");
    let refuses_all = options.clone().with("DATABASE_URL", database);
    let folder = new_folder();
    let server = options
        .with("REDIS_URL", redis)
        .with("RABBITMQ_URL", rabbitmq)
        .start()
        .await;

    let exit = refuses_all.run_to_exit(folder.path(), &[]).await;
    awaits(&server, 200, &["redis", "rabbitmq"]).await;
    let pair = scenes::pair(&server, "ada", "bob", "Array").await;
    pair.first.confirm(&pair.match_id, true).await.expect(200);
    pair.second.confirm(&pair.match_id, true).await.expect(503);
    let looks = [
        server.get("/metrics").await,
        server.get("/debug/actors").await,
    ];
    let ready = server.get("/readyz").await;

    assert!(
        exit.output.contains("does not let us in"),
        "{}",
        exit.output
    );
    assert_untold(&[REFUSED], "the log", &exit.output);
    assert_untold(&[REFUSED], "the log", &server.output());
    for reply in looks.iter().chain([&ready]) {
        assert_untold(&[REFUSED], &reply.what, &reply.text);
    }
}

#[actix_rt::test]
async fn no_password_stands_in_the_log_at_any_level_and_in_no_spelling() {
    let options = Options::on(Backends::from(shared_neighbours())).with("LOG_LEVEL", "TRACE");
    let server = options.start().await;
    awaits(&server, 200, &[]).await;
    let pair = scenes::pair(&server, "ada", "bob", "Array").await;
    pair.open_session().await;

    let output = output_to(&server, "became session").await;
    assert_untold(&[servers::PASSWORD], "the log", &output);
}
