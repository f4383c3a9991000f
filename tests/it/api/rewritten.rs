//! What the collaboration service does to a session's key, on the shared sessions of this process.

use std::path::Path;

use matchmaker::adapters::InProcessSessions;
use matchmaker::app;
use matchmaker::domain::SessionId;
use matchmaker::settings::{Settings, Sources};
use serde_json::json;
use uuid::Uuid;

use crate::harness::{Api, PREFIX, Reply, User, new_folder, scenes, tokens};

/// A server in this process, so that the test reaches the sessions behind it.
struct InThisProcess {
    io: Option<tokio::runtime::Runtime>,
    running: app::Running,
    api: Api,
}

impl InThisProcess {
    async fn start(folder: &Path) -> Self {
        let file = folder.join("matchmaker.db");
        let sources = Sources::in_folder(folder)
            .with("HOST", "127.0.0.1")
            .with("PORT", "0")
            .with("HTTP_WORKERS", "1")
            .with("DATABASE_URL", format!("sqlite://{}", file.display()));
        let settings = Settings::load(&sources).expect("the settings are valid");
        let io = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .expect("a runtime can be had");
        let running = app::start(settings, io.handle().clone(), || ())
            .await
            .expect("the server starts");
        let api = Api::new();
        api.moved_to(running.address().port());
        Self {
            io: Some(io),
            running,
            api,
        }
    }

    fn user(&self, id: &str) -> User {
        User::new(&self.api, id, tokens::signed(&tokens::claims(id)))
    }

    fn sessions(&self) -> &InProcessSessions {
        self.running.sessions().expect("they are in this process")
    }

    async fn session(&self, id: &str) -> Reply {
        let path = format!("{PREFIX}/session/{id}");
        self.api.request(awc::http::Method::GET, &path).send().await
    }

    async fn stop(mut self) {
        self.running.stop().await;
        if let Some(io) = self.io.take() {
            io.shutdown_background();
        }
    }
}

#[actix_rt::test]
async fn a_session_key_rewritten_without_users_still_works() {
    let folder = new_folder();
    let server = InThisProcess::start(folder.path()).await;
    let pair = scenes::pair_up(server.user("ada"), server.user("bob"), "Array").await;
    let session = pair.open_session().await;
    let id = SessionId(Uuid::parse_str(&session).unwrap());
    let ours = server.session(&session).await.expect(200).clone();
    let rewritten = json!({"question": {"id": ours["question"]["id"]}, "code": "print(1)",
        "language": "rust", "chat": ["hello"]});

    assert!(server.sessions().overwrite(id, &rewritten.to_string()));
    let read = server.session(&session).await.expect(200).clone();
    pair.first.leave(&session).await.expect(200);
    let left = server.session(&session).await.expect(200).clone();
    assert!(server.sessions().overwrite(id, "no JSON at all"));
    let corrupt = server.session(&session).await.expect(200).clone();

    for text in [&read, &left] {
        assert_eq!(text["code"], "print(1)");
        assert_eq!(text["language"], "rust");
        assert_eq!(text["chat"], json!(["hello"]));
        assert_eq!(text["users"], json!(["ada", "bob"]));
        assert_eq!(text["question"], ours["question"]);
    }
    assert_eq!(left["left_users"], json!(["ada"]));
    assert_eq!(corrupt["users"], json!(["ada", "bob"]));
    assert_eq!(corrupt["question"], ours["question"]);
    let active = pair.second.active_session().await;
    assert_eq!(active.expect(200)["session_id"], session.as_str());
    pair.second.leave(&session).await.expect(200);
    server.stop().await;
}

#[actix_rt::test]
async fn what_others_write_is_answered_byte_for_byte() {
    let folder = new_folder();
    let server = InThisProcess::start(folder.path()).await;
    let pair = scenes::pair_up(server.user("ada"), server.user("bob"), "Array").await;
    let session = pair.open_session().await;
    let id = SessionId(Uuid::parse_str(&session).unwrap());
    // As Python's json.dumps writes half of an emoji, and a number that is none.
    let rewritten = r#"{"code": "x = '\ud83d'", "n": 123456789012345678901234567890}"#;

    assert!(server.sessions().overwrite(id, rewritten));
    let read = server.session(&session).await;
    pair.first.leave(&session).await.expect(200);
    let left = server.session(&session).await;
    let nan = r#"{"code": "x = 1", "cursor": NaN}"#;
    assert!(server.sessions().overwrite(id, nan));
    let odd = server.session(&session).await.expect(200).clone();
    pair.second.leave(&session).await.expect(200);

    for reply in [&read, &left] {
        assert_eq!(reply.status, 200);
        for part in [
            r#""code":"x = '\ud83d'""#,
            r#""n":123456789012345678901234567890"#,
        ] {
            assert!(reply.text.contains(part), "{part} in {}", reply.text);
        }
    }
    assert!(
        left.text.contains(r#""left_users":["ada"]"#),
        "{}",
        left.text
    );
    assert_eq!(odd["code"], "x = 1");
    assert_eq!(odd["users"], json!(["ada", "bob"]));
    server.stop().await;
}
