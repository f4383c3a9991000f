//! People whose tickets, match and session are to stay as they are, and all that shows of them.

use diesel::connection::SimpleConnection;
use diesel::sql_types::Text;
use diesel::{Connection, QueryableByName, RunQueryDsl, SqliteConnection};
use jsonwebtoken::Algorithm;

use super::dice::Dice;
use crate::harness::scenes::Standing;
use crate::harness::*;

/// What requests are made of.
pub struct Cast {
    /// Ids of all that is live.
    pub ids: Vec<String>,
    /// Tokens of those who are in a ticket, a match or a session with one of these ids.
    pub members: Vec<String>,
    /// Tokens of others. Each has a ticket that waits, so an ask of theirs is a duplicate.
    pub strangers: Vec<String>,
    /// Tokens that are not valid.
    pub worthless: Vec<String>,
    /// Whole requests, of which each would change something.
    pub deeds: Vec<String>,
}

impl Cast {
    /// One of the deeds.
    pub fn deed(&self, dice: &mut Dice) -> &str {
        &self.deeds[dice.below(self.deeds.len())]
    }
}

/// Everybody who is there.
pub struct Scene {
    standing: Standing,
    strangers: Vec<(User, String)>,
    /// What to attack them with.
    pub cast: Cast,
}

impl Scene {
    /// Sets it up on a server on which nothing has happened.
    pub async fn on(server: &Server) -> Self {
        let standing = Standing::on(server).await;
        let mut strangers = Vec::new();
        for name in ["eve", "mallory"] {
            let user = server.user(name);
            let ticket = user
                .open_ticket("Hard", &format!("The own topic of {name}"))
                .await;
            strangers.push((user, ticket));
        }
        let cast = cast(&standing, &strangers);
        Self {
            standing,
            strangers,
            cast,
        }
    }

    /// All that can be seen of it from outside: answers, actors, counters and rows.
    pub async fn look(&self, server: &Server) -> Vec<String> {
        self.standing.looks_unchanged(server).await;
        let mut seen = Vec::new();
        for (user, ticket) in &self.strangers {
            assert_eq!(user.state(ticket).await, "pending");
        }
        let session = server.session(&self.standing.session).await;
        seen.push(format!("session: {}", session.expect(200)));
        seen.extend(actors(server).await);
        seen.extend(counters(server).await);
        seen.extend(rows(server));
        seen
    }
}

fn cast(standing: &Standing, strangers: &[(User, String)]) -> Cast {
    let (pair, members) = (&standing.pair, &standing.members);
    let inside = [
        &standing.waiting,
        &pair.first,
        &pair.second,
        &members.first,
        &members.second,
    ];
    let mut worthless = vec![
        "undefined".to_owned(),
        "a.b.c".to_owned(),
        "..".to_owned(),
        String::new(),
        "x".repeat(9_000),
        tokens::unsigned("first"),
        tokens::confused("first"),
        tokens::signed_with(&tokens::claims("first"), "another secret", Algorithm::HS256),
        tokens::signed_with(
            &tokens::claims("first"),
            tokens::DEV_SECRET,
            Algorithm::HS512,
        ),
        tokens::signed(&tokens::claims_with("first", "exp", json!(1))),
        tokens::signed(&tokens::claims_with(
            "first",
            "sub",
            json!("first\r\nX-Injected: yes"),
        )),
    ];
    for user in inside {
        worthless.extend(spoilt(&user.token));
    }
    let post =
        |user: &User, path: &str, body: &Value| request("POST", path, user, &body.to_string());
    Cast {
        ids: [
            &standing.ticket,
            &pair.first_ticket,
            &pair.second_ticket,
            &pair.match_id,
            &members.first_ticket,
            &members.match_id,
            &standing.session,
        ]
        .map(String::clone)
        .to_vec(),
        members: inside.map(|user| user.token.clone()).to_vec(),
        strangers: strangers
            .iter()
            .map(|(user, _)| user.token.clone())
            .collect(),
        worthless,
        deeds: vec![
            request(
                "DELETE",
                &format!("/request/{}", standing.ticket),
                &standing.waiting,
                "",
            ),
            post(
                &pair.first,
                "/confirm",
                &json!({"match_id": pair.match_id, "confirmed": true}),
            ),
            post(
                &pair.second,
                "/confirm",
                &json!({"match_id": pair.match_id, "confirmed": false}),
            ),
            post(
                &members.first,
                "/sessions/leave",
                &json!({"session_id": standing.session}),
            ),
            post(
                &members.second,
                "/request",
                &json!({"difficulty": "Easy", "topic": "Smuggling"}),
            ),
        ],
    }
}

/// The token with one character changed, in each of its parts and in many places.
fn spoilt(token: &str) -> Vec<String> {
    (0..token.len())
        .step_by(7)
        .map(|at| {
            let other = if token.as_bytes()[at] == b'A' {
                "B"
            } else {
                "A"
            };
            let mut text = token.to_owned();
            text.replace_range(at..=at, other);
            text
        })
        .collect()
}

fn request(method: &str, path: &str, user: &User, body: &str) -> String {
    format!(
        "{method} {PREFIX}{path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {}\r\n\
         Content-Length: {}\r\n\r\n{body}",
        user.token,
        body.len()
    )
}

/// What the actors hold, without what time and sockets do to it.
async fn actors(server: &Server) -> Vec<String> {
    let reply = server.get("/debug/actors").await;
    let mut state = reply.expect(200).clone();
    let buckets = state["buckets"].as_array_mut().expect("it lists buckets");
    for bucket in buckets.iter_mut() {
        let bucket = bucket.as_object_mut().expect("a bucket is an object");
        bucket.remove("oldest_wait_ms");
        bucket.remove("mailbox");
    }
    let mut seen: Vec<String> = buckets.iter().map(|it| format!("bucket: {it}")).collect();
    seen.sort_unstable();
    let items = state["sessions"]["items"].as_array_mut();
    for item in items.into_iter().flatten() {
        let item = item.as_object_mut().expect("a session is an object");
        item.remove("due_in_ms");
    }
    for part in ["tickets", "matches", "sessions"] {
        seen.push(format!("{part}: {}", state[part]));
    }
    seen
}

/// The counters of what happened to people.
async fn counters(server: &Server) -> Vec<String> {
    let reply = server.get("/metrics").await;
    reply.expect(200);
    let of_people = [
        "buckets",
        "tickets_",
        "matches_",
        "confirmations_",
        "sessions_",
        "outbox_rows",
        "guarantee_",
    ];
    let is_meant = |line: &&str| {
        let rest = line.strip_prefix("matchmaker_");
        rest.is_some_and(|rest| of_people.iter().any(|name| rest.starts_with(name)))
    };
    let mut seen: Vec<String> = reply
        .text
        .lines()
        .filter(is_meant)
        .map(str::to_owned)
        .collect();
    seen.sort_unstable();
    seen
}

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = Text)]
    line: String,
}

/// Every row of every table.
fn rows(server: &Server) -> Vec<String> {
    let path = server.database_file();
    let mut file = SqliteConnection::establish(path.to_str().expect("UTF-8")).expect("it is there");
    file.batch_execute("PRAGMA busy_timeout = 5000")
        .expect("it is taken");
    let tables = lines(
        &mut file,
        "SELECT 'SELECT ''' || m.name || ': '' || ' || group_concat('quote(' || c.name || ')', ' || '','' || ') \
         || ' AS line FROM ' || m.name || ' ORDER BY 1' AS line \
         FROM sqlite_master m, pragma_table_info(m.name) c WHERE m.type = 'table' GROUP BY m.name",
    );
    assert!(tables.len() >= 4, "{tables:?}");
    tables
        .iter()
        .flat_map(|query| lines(&mut file, query))
        .collect()
}

fn lines(file: &mut SqliteConnection, query: &str) -> Vec<String> {
    let found: Vec<Line> = diesel::sql_query(query).load(file).expect("SQLite answers");
    found.into_iter().map(|it| it.line).collect()
}
