//! One scene for all faults: couples meet, it happens, it is over, everybody goes on; whatever
//! anybody was told is found afterwards.

use std::collections::BTreeSet;
use std::fmt;
use std::time::{Duration, Instant};

use futures_util::future::join;

use crate::harness::*;

use super::super::rabbitmq::{WAITING_ROWS, rows};
use super::super::{BACK_WITHIN, counter, nothing_broken};
use super::couples::{Conditions, Couple, Meeting};
use super::faults::{Fault, Site, Whom};
use super::steady::{Steady, Times};

/// Couples that meet at the same time.
const COUPLES: usize = 8;
/// Meetings that all of them have had before it happens, and while it does where they go on.
const MEETINGS: usize = 20;

/// What becomes of couples while it lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meanwhile {
    /// Somebody is told to come again.
    Refuses,
    /// They meet as before.
    GoesOn,
}

/// Something that happens to somebody.
pub struct Case {
    pub whom: Whom,
    pub fault: Fault,
    pub meanwhile: Meanwhile,
    /// For how long at least.
    pub lasts: Duration,
    /// How many rounds of the steady stream are measured, before and meanwhile.
    pub rounds: usize,
}

/// What was measured.
struct Figures {
    before: Times,
    during: Times,
    recovery: Duration,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whom = self.whom;
        match &self.fault {
            Fault::Answers(name, _) => write!(f, "{whom:?} {name}"),
            fault => write!(f, "{whom:?} {fault:?}"),
        }
    }
}

impl Case {
    /// The scene. Each request is answered in time, and nothing that was answered 2xx is lost.
    pub async fn costs_nobody_anything_but_time(&self) {
        let site = Site::of(self.whom, &self.fault).await;
        // The queue stays, as the real one does, and takes what is published.
        let events = site.neighbours.vhost.url();
        eventually("the exchange is there", async || hear(&events).await.ok()).await;
        let conditions = Conditions::default();
        let couples: Vec<Couple> = (0..COUPLES)
            .map(|number| {
                // A known question of the bucket is used where the service is away.
                let wanders = self.whom == Whom::Questions && number % 2 == 1;
                Couple::new(&site.server, &conditions, number, wanders)
            })
            .collect();
        let steady = Steady::at(&site.server, self.whom != Whom::Postgres).await;

        let traffic = join_all(couples.iter().map(Couple::meet_again_and_again));
        let script = self.script(&site, &conditions, &couples, &steady);
        let (_, figures) = join(traffic, script).await;

        let meetings: Vec<Meeting> = couples
            .iter()
            .flat_map(|couple| couple.meetings.take())
            .collect();
        self.report(&figures, &conditions, &couples, meetings.len());
        let Figures {
            before,
            during,
            recovery,
        } = figures;
        assert!(is_in_time(recovery, BACK_WITHIN), "{self}: {recovery:?}");
        assert!(during.are_as(&before), "{self}: {before:?}, {during:?}");
        steady.ends().await;
        all_is_found(&site, &meetings).await;
        for couple in &couples {
            for (user, ticket) in couple.ended.take() {
                assert_eq!(user.state(&ticket).await, "cancelled");
            }
        }
        nothing_is_left(&site, meetings.len()).await;
    }

    async fn script(
        &self,
        site: &Site,
        conditions: &Conditions,
        couples: &[Couple<'_>],
        steady: &Steady<'_>,
    ) -> Figures {
        met(couples, MEETINGS).await;
        let before = steady.measured(self.rounds).await;

        let (had, refused) = (meetings_of(couples), refusals_of(couples));
        let known = || couples.iter().step_by(2).map(Couple::met).sum::<usize>();
        let had_known = known();
        site.begins(self.whom, &self.fault).await;
        let begun = Instant::now();
        // Some only wait for others meanwhile; they hear that they cannot have anything.
        within(BACK_WITHIN + PATIENCE, "it is felt, or not", async || {
            let done = match self.meanwhile {
                Meanwhile::Refuses => refusals_of(couples) >= refused + COUPLES,
                Meanwhile::GoesOn => meetings_of(couples) >= had + MEETINGS / 2,
            };
            (done && begun.elapsed() > self.lasts).then_some(())
        })
        .await;
        if self.whom == Whom::Questions {
            assert!(known() > had_known, "{self}: known questions are used");
        }
        let during = steady.measured(self.rounds).await;

        site.ends(self.whom, &self.fault).await;
        let back = Instant::now();
        let then: Vec<usize> = couples.iter().map(Couple::met).collect();
        within(BACK_WITHIN, "everybody goes on", async || {
            let mut both = couples.iter().zip(&then);
            both.all(|(couple, then)| couple.met() > *then)
                .then_some(())
        })
        .await;
        if self.whom == Whom::RabbitMq {
            within(BACK_WITHIN, "what waited is sent", async || {
                let waits = format!(
                    "{WAITING_ROWS} AND created_at_ms < (extract(epoch FROM now()) - {:.3}) * 1000",
                    back.elapsed().as_secs_f64()
                );
                (rows(&site.neighbours.database.url(), &waits).await == 0).then_some(())
            })
            .await;
        }
        let recovery = back.elapsed();
        conditions.over.set(true);
        Figures {
            before,
            during,
            recovery,
        }
    }

    fn report(
        &self,
        figures: &Figures,
        conditions: &Conditions,
        couples: &[Couple<'_>],
        met: usize,
    ) {
        let ms = |time: Duration| time.as_secs_f64() * 1_000.0;
        let (slowest, which) = conditions.slowest();
        let refused: usize = couples.iter().map(|couple| couple.refused.get()).sum();
        println!(
            "| {self} | {:.0} ({which}) | {:.2} | {:.1} | {:.1} | {met} | {refused} |",
            ms(slowest),
            figures.recovery.as_secs_f64(),
            ms(figures.before.p99),
            ms(figures.during.p99),
        );
    }
}

fn meetings_of(couples: &[Couple<'_>]) -> usize {
    couples.iter().map(Couple::met).sum()
}

fn refusals_of(couples: &[Couple<'_>]) -> usize {
    couples.iter().map(|couple| couple.refused.get()).sum()
}

async fn met(couples: &[Couple<'_>], number: usize) {
    eventually("couples meet", async || {
        let all = couples.iter().all(|couple| couple.met() > 0);
        (all && meetings_of(couples) >= number).then_some(())
    })
    .await;
}

/// Whatever was answered 2xx is what anybody finds who looks later.
async fn all_is_found(site: &Site, meetings: &[Meeting]) {
    let server = &site.server;
    for meeting in meetings {
        for (user, ticket) in &meeting.tickets {
            let status = user.status(ticket).await;
            let expected = json!({"status": "matched", "match_id": meeting.match_id});
            assert_eq!(*status.expect(200), expected);
            user.active_session().await.expect(404);
        }
        let status = server.match_status(&meeting.match_id).await;
        let expected = json!({"confirm_status": true, "session_id": meeting.session});
        assert_eq!(*status.expect(200), expected);
    }
    let open = "SELECT count(*) FROM sessions \
                WHERE left_first_ms IS NULL OR left_second_ms IS NULL";
    assert_eq!(rows(&site.neighbours.database.url(), open).await, 0);
    let sessions: BTreeSet<&str> = meetings.iter().map(|it| it.session.as_str()).collect();
    assert_eq!(sessions.len(), meetings.len(), "no session was given twice");
    let mut announced = BTreeSet::new();
    let mut collaboration = hear(&site.neighbours.vhost.url()).await.expect("it is up");
    while announced.len() < sessions.len() {
        let body = collaboration.bodies(1).await.remove(0);
        let event: Value = serde_json::from_str(&body).expect("JSON");
        announced.insert(text(&event, "session_id").to_owned());
    }
    let told: BTreeSet<String> = sessions.into_iter().map(str::to_owned).collect();
    assert_eq!(announced, told);
}

/// Nothing but what was asked for was stored, and nothing of it is live.
async fn nothing_is_left(site: &Site, met: usize) {
    let database = site.neighbours.database.url();
    let counts = [
        ("SELECT count(*) FROM sessions", met),
        ("SELECT count(*) FROM outbox", met),
    ];
    for (query, expected) in counts {
        assert_eq!(rows(&database, query).await, expected as i64, "{query}");
    }
    let live = "SELECT count(*) FROM tickets WHERE status IN ('waiting', 'matched')";
    eventually("nobody waits", async || {
        (rows(&database, live).await == 0).then_some(())
    })
    .await;
    eventually("what was sent is marked", async || {
        (rows(&database, WAITING_ROWS).await == 0).then_some(())
    })
    .await;
    let opened = counter(&site.server, "matchmaker_sessions_opened_total", "").await;
    assert_eq!(opened, met as f64);
    nothing_broken(&site.server).await;
    eventually("nothing is known any more", async || {
        let state = site.server.get("/debug/actors").await;
        let state = state.expect(200);
        (state["tickets"]["known"] == 0 && state["sessions"]["open"] == 0).then_some(())
    })
    .await;
}
