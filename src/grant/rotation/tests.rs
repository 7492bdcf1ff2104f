//! Each rule by a script; then every fault at every place.

use std::error::Error;

use proptest::prelude::*;
use tokio::time::{sleep, timeout};

use self::world::*;
use super::*;
use crate::{
    grant::exchange::RawIdToken,
    source::FetchReason::{Expiring, First, Rejected},
    store::{MemoryStore, StoreError, StoreErrorKind},
};

mod world;

const REFUSED: Result<String, ErrorKind> = Err(ErrorKind::Refused);
const TRANSIENT: Result<String, ErrorKind> = Err(ErrorKind::Transient);

fn ok(token: &str) -> Result<String, ErrorKind> {
    Ok(token.to_owned())
}

/// One exchange, whose refresh token is in the store when its access token is handed out (F1).
#[tokio::test(start_paused = true)]
async fn what_came_is_stored_before_it_is_handed_out() {
    let world = World::new();
    let mut source = world.source();
    let token = world.fetch(&mut source).await.unwrap();
    assert_eq!(token.expose_secret(), "a-1");
    assert_eq!(token.lifetime(), Some(1000 * S), "as the server said");
    let stored = world.stored().await;
    assert_eq!(stored.refresh_token().unwrap().expose_secret(), "r-2");
    assert_eq!((stored.revision(), stored.in_flight_since()), (3, None), "the note, and the answer");
    let end = stored.access_token().unwrap().expiry().unwrap();
    let left = end.duration_since(world.clock.wall()).unwrap();
    assert!(left < 1000 * S && left > 999 * S, "counted from the request: {left:?}");
    let second = world.next(&mut source, &token).await.unwrap();
    assert_eq!(second.expose_secret(), "a-2");
    assert_eq!(world.presented(), ["r-1", "r-2"]);
}

/// An exchange whose replies have an id_token, which is looked at as long as this says, and comes to this.
struct WithIdToken(Duration, Seen);

#[derive(Clone, Copy)]
enum Seen {
    Good,
    Doubtful,
    Anothers,
}

impl Exchange for WithIdToken {
    async fn refresh(&self, token: &RefreshToken, _clock: &Arc<dyn Clock>) -> Exchanged {
        let next = format!("{}+", token.expose_secret());
        let id_token = Some(RawIdToken(String::from("id").into()));
        Exchanged {
            refresh: Some(RefreshToken::new(&*next)),
            token: AccessToken::new(next),
            login_again: false,
            unanswered: false,
            id_token,
        }
    }

    async fn vet(&self, exchanged: Exchanged, _subject: Option<&str>, _clock: &Arc<dyn Clock>) -> Exchanged {
        sleep(self.0).await;
        let token = || Err(TokenError::new(ErrorKind::Refused, "scripted"));
        match self.1 {
            Seen::Good => exchanged,
            Seen::Doubtful => Exchanged { token: token(), ..exchanged },
            Seen::Anothers => Exchanged { refresh: None, token: token(), login_again: true, ..exchanged },
        }
    }

    fn login(&self, _clock: &Arc<dyn Clock>) -> Option<impl Future<Output = Exchanged> + Send> {
        None::<std::future::Ready<Exchanged>>
    }
}

/// G3, F1: what the server has rotated is stored before an id_token is looked at, which may take another server's answer.
#[tokio::test(start_paused = true)]
async fn an_id_token_is_looked_at_once_the_refresh_token_is_stored() {
    for (seen, left) in [(Seen::Good, Some("r+")), (Seen::Doubtful, Some("r+")), (Seen::Anothers, None)] {
        let store = MemoryStore::holding(RefreshToken::new("r"));
        let mut source = Rotation::new(WithIdToken(10 * S, seen), Login::new(store.clone()));
        let stored = async || store.read().await.unwrap().unwrap();
        assert!(timeout(5 * S, source.fetch(FetchContext::new(First))).await.is_err(), "it is being looked at");
        let record = stored().await;
        assert_eq!(record.refresh_token().unwrap().expose_secret(), "r+");
        assert!(record.access_token().is_none() && record.in_flight_since().is_none());
        let fetched = source.fetch(FetchContext::new(First)).await;
        assert_eq!(fetched.map_err(|error| error.kind()).is_ok(), matches!(seen, Seen::Good));
        let record = stored().await;
        assert_eq!(record.refresh_token().map(RefreshToken::expose_secret), left);
        assert_eq!(record.access_token().is_some(), matches!(seen, Seen::Good));
    }
}

/// F2: the note is there while the request is under way, and names what was sent and since when.
#[tokio::test(start_paused = true)]
async fn a_note_is_written_before_the_request() {
    let world = World::new();
    let mut source = world.source();
    let wall = world.clock.wall();
    assert!(!poll_and_drop(1, world.fetch(&mut source)).await);
    assert_eq!(world.book().presented.len(), 1);
    let stored = world.stored().await;
    assert_eq!(stored.in_flight_since(), Some(wall));
    assert_eq!(stored.unsettled().map(|note| note.tries), Some(1));
}

/// Another engine's access token, or that of the process before, is adopted: no call.
#[tokio::test(start_paused = true)]
async fn a_good_access_token_is_adopted() {
    let world = World::new();
    let (mut one, mut other) = (world.source(), world.source());
    let first = world.fetch(&mut one).await.unwrap();
    let adopted = world.fetch(&mut other).await.unwrap();
    assert_eq!(adopted.expose_secret(), "a-1");
    assert_eq!(world.presented(), ["r-1"]);
    assert!(adopted.lifetime().is_none() && adopted.expiry().is_some(), "its end does not move");

    let second = world.next(&mut one, &first).await.unwrap();
    assert_eq!(kind(world.next(&mut other, &adopted).await), ok("a-2"), "somebody was faster");
    assert_eq!(world.presented(), ["r-1", "r-2"]);
    // Nearly spent, it is not worth the while.
    sleep(999 * S).await;
    assert_eq!(kind(world.fetch(&mut other).await), ok("a-3"));
    assert_eq!(second.expose_secret(), "a-2");
}

/// A rejected token is not adopted; its successor is.
#[tokio::test(start_paused = true)]
async fn a_rejected_token_is_replaced_by_a_newer_one() {
    let world = World::new();
    let (mut one, mut other) = (world.source(), world.source());
    let first = world.fetch(&mut one).await.unwrap();
    world.fetch(&mut other).await.unwrap();
    assert_eq!(kind(one.fetch(world.cx(Rejected, Some(&first))).await), ok("a-2"));
    assert_eq!(kind(other.fetch(world.cx(Rejected, Some(&first))).await), ok("a-2"));
    assert_eq!(world.presented(), ["r-1", "r-2"]);
}

/// X5, F3: twenty at once, and each refresh token is presented once; the server asserts that there is one call at a time.
#[tokio::test(start_paused = true)]
async fn twenty_racing_sources_present_each_refresh_token_once() {
    let world = World::new();
    *world.store.slow.lock().unwrap() = STEP / 10;
    let mut tasks = Vec::new();
    for _ in 0..20 {
        let (mut source, clock) = (world.source(), world.clock());
        tasks.push(tokio::spawn(async move {
            let mut previous = None;
            for _ in 0..10 {
                let reason = if previous.is_some() { Expiring } else { First };
                let cx = FetchContext::from_engine(reason, 1, previous, Arc::clone(&clock));
                previous = Some(source.fetch(cx).await.unwrap());
            }
            previous.unwrap().expose_secret().to_owned()
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    let mut presented = world.presented();
    let calls = presented.len();
    presented.dedup();
    assert_eq!((presented.len(), world.book().reused.len()), (calls, 0), "{presented:?}");
    assert!((10..40).contains(&calls), "most of the 200 fetches were spared: {calls}");
}

/// G7: a reply without a refresh token, or with an empty one, leaves the old one.
#[tokio::test(start_paused = true)]
async fn an_omitted_refresh_token_goes_on() {
    let world = World::scripted([Answer::Omit, Answer::Empty, Answer::Rotate]);
    let mut source = world.source();
    let mut token = world.fetch(&mut source).await.unwrap();
    for _ in 0..2 {
        assert_eq!(world.stored_refresh().await.as_deref(), Some("r-1"));
        assert_eq!(world.stored().await.access_token().unwrap().expose_secret(), token.expose_secret());
        token = world.next(&mut source, &token).await.unwrap();
    }
    assert_eq!(world.presented(), ["r-1", "r-1", "r-1"]);
    assert_eq!(world.stored_refresh().await.as_deref(), Some("r-2"));
}

/// G3: the refresh token of a reply that is otherwise useless is stored, and is the next one.
#[tokio::test(start_paused = true)]
async fn a_refresh_token_is_salvaged() {
    let world = World::scripted([Answer::HalfReadable]);
    let mut source = world.source();
    assert_eq!(kind(world.fetch(&mut source).await), TRANSIENT);
    assert_eq!(world.stored_refresh().await.as_deref(), Some("r-2"));
    assert_eq!(kind(world.fetch(&mut source).await), ok("a-1"));
    assert_eq!(world.presented(), ["r-1", "r-2"]);
}

/// An outage costs nothing: the refresh token is kept, also for a new process, and nothing is left in flight.
#[tokio::test(start_paused = true)]
async fn an_outage_keeps_the_refresh_token() {
    let world = World::scripted([Answer::Busy; 5]).with_logins();
    for _ in 0..5 {
        let error = world.fetch(&mut world.source()).await.unwrap_err();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Transient, Some("busy")));
        assert_eq!(world.stored().await.in_flight_since(), None);
    }
    sleep(60 * S).await;
    assert_eq!(kind(world.fetch(&mut world.source()).await), ok("a-1"));
    assert_eq!((world.presented(), world.book().logins), (vec!["r-1".to_owned(); 6], 0));
}

/// DESIGN 9: with credentials, a dead refresh token is a login; without, a person must act. It is never sent again.
#[tokio::test(start_paused = true)]
async fn a_dead_refresh_token_is_a_login_or_the_end() {
    let world = World::scripted([Answer::Dead]).with_logins();
    let mut source = world.source();
    let token = world.fetch(&mut source).await.unwrap();
    assert_eq!((token.expose_secret(), world.stored_refresh().await.as_deref()), ("a-1", Some("r-2")));
    world.next(&mut source, &token).await.unwrap();
    assert_eq!((world.presented(), world.book().logins), (vec!["r-1".to_owned(), "r-2".to_owned()], 1));

    // An outage between the two: the next fetch logs in, and so does a new process.
    let world = World::scripted([Answer::Dead, Answer::Busy]).with_logins();
    assert_eq!(kind(world.fetch(&mut world.source()).await), TRANSIENT);
    assert_eq!(kind(world.fetch(&mut world.source()).await), ok("a-1"));
    assert_eq!((world.presented(), world.book().logins), (vec!["r-1".to_owned()], 2));

    let world = World::scripted([Answer::Dead]);
    let mut source = world.source();
    let error = world.fetch(&mut source).await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Refused, Some("invalid_grant")));
    for _ in 0..3 {
        assert_eq!(kind(world.fetch(&mut source).await), REFUSED);
        assert_eq!(kind(world.fetch(&mut world.source()).await), REFUSED);
    }
    assert_eq!(world.presented(), ["r-1"]);
}

/// An access token outlives its refresh token: it serves until it ends.
#[tokio::test(start_paused = true)]
async fn a_dead_refresh_token_hides_no_good_access_token() {
    let world = World::scripted([Answer::Rotate, Answer::LostRequest, Answer::Dead]);
    world.fetch(&mut world.source()).await.unwrap();
    let crashed = World { server: world.server.clone(), store: world.store.clone(), clock: world.clock.clone() };
    let first = AccessToken::new("a-1").unwrap();
    assert_eq!(kind(crashed.next(&mut crashed.source(), &first).await), REFUSED);
    assert_eq!(kind(world.fetch(&mut world.source()).await), ok("a-1"));
    sleep(1000 * S).await;
    assert_eq!(kind(world.fetch(&mut world.source()).await), REFUSED);
}

#[tokio::test(start_paused = true)]
async fn an_expired_refresh_token_is_not_sent() {
    let world = World::over(MemoryStore::new());
    let end = world.clock.wall() + 60 * S;
    world.store.memory.force(Record::new(RefreshToken::new("r-1").expires_at(end)));
    let mut source = world.source();
    sleep(60 * S).await;
    assert_eq!(kind(world.fetch(&mut source).await), REFUSED);
    assert_eq!(world.presented().len(), 0);
    // By the wall clock, which somebody sets right: nothing was thrown away.
    world.clock.set_back(30 * S);
    assert_eq!(kind(world.fetch(&mut source).await), ok("a-1"));

    let world = World::over(world.store.memory.clone()).with_logins();
    world.store.memory.force(Record::new(RefreshToken::new("r-1").expires_at(world.clock.wall())));
    world.book().script.push_back(Answer::Omit);
    assert_eq!(kind(world.fetch(&mut world.source()).await), ok("a-1"));
    assert_eq!((world.presented().len(), world.book().logins), (0, 1));
    assert_eq!(world.stored_refresh().await, None, "it belonged to the login before");
}

/// Before anybody has logged in: a login with credentials, or `Refused` until a person has.
#[tokio::test(start_paused = true)]
async fn an_empty_store_is_a_first_login() {
    let world = World::over(MemoryStore::new()).with_logins();
    world.book().script.push_back(Answer::Omit);
    let mut source = world.source();
    let token = world.fetch(&mut source).await.unwrap();
    assert_eq!(world.stored().await.refresh_token(), None, "this server gives none");
    let token = world.next(&mut source, &token).await.unwrap();
    world.next(&mut source, &token).await.unwrap();
    assert_eq!((world.presented(), world.book().logins), (vec!["r-3".to_owned()], 2));

    let world = World::over(MemoryStore::new());
    let mut source = world.source();
    assert_eq!(kind(world.fetch(&mut source).await), REFUSED);
    let exchanged = world.server.log_in();
    source.login().begin(exchanged, None, Moment::now(&*world.clock), &world.clock()).await.unwrap();
    assert_eq!(kind(world.fetch(&mut source).await), ok("a-1"));
    sleep(1000 * S).await;
    assert_eq!(kind(world.fetch(&mut source).await), ok("a-2"));
    assert_eq!(world.presented(), ["r-2"]);
}

/// F2, X4: a lost answer is asked for again at once; a forgiving server gives it, and a strict one ends the login in one call.
#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_asked_for_again_at_once() {
    for lost in [Answer::LostReply, Answer::LostRequest] {
        let world = World::scripted([lost, lost]);
        let started = tokio::time::Instant::now();
        assert_eq!(kind(world.fetch(&mut world.source()).await), ok("a-1"));
        assert_eq!(started.elapsed(), 6 * STEP, "no pause in between");
        assert_eq!((world.presented(), world.book().reused.len()), (vec!["r-1".to_owned(); 3], 0));
        assert_eq!((world.stored_refresh().await.as_deref(), world.stored().await.in_flight_since()), (Some("r-2"), None));
    }
    let world = World::scripted([Answer::LostReply]);
    world.book().grace = Duration::ZERO;
    let mut source = world.source();
    for _ in 0..3 {
        assert_eq!(kind(world.fetch(&mut source).await), REFUSED);
    }
    assert_eq!(world.presented(), ["r-1", "r-1"]);
}

/// F2: three times within 10 s, over several fetches and several processes; and what a server that is busy says about the second
/// settles nothing about the first.
#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_asked_for_three_times_at_most() {
    for script in [[Answer::LostRequest; 3], [Answer::LostReply, Answer::Busy, Answer::Busy]] {
        let world = World::scripted(script);
        world.book().grace = 15 * S;
        let started = tokio::time::Instant::now();
        while started.elapsed() < 9 * S {
            assert_eq!(kind(world.fetch(&mut world.source()).await), TRANSIENT, "{script:?}");
            sleep(STEP).await;
        }
        assert_eq!(world.presented(), ["r-1"; 3]);
        let error = world.fetch(&mut world.source()).await.unwrap_err();
        assert!(error.retry_hint().is_some_and(|hint| hint <= S), "the rest of the window");
        // Nobody can have the successor, so there is nothing to lose, except where credentials log in.
        sleep(2 * S).await;
        assert_eq!(kind(world.fetch(&mut world.source()).await), ok("a-1"));
        assert_eq!((world.presented().len(), world.book().logins), (4, 0));
    }
}

/// A try that takes long is the last one: the window is over when it ends.
#[tokio::test(start_paused = true)]
async fn a_slow_silence_is_not_repeated() {
    let mut world = World::scripted([Answer::LostRequest; 3]);
    world.server.slow = 6 * S;
    assert_eq!(kind(world.fetch(&mut world.source()).await), TRANSIENT);
    assert_eq!(world.presented(), ["r-1"]);

    // Also when somebody sets the clock meanwhile.
    let mut world = World::scripted([Answer::LostRequest; 3]);
    world.server.slow = 6 * S;
    let mut source = world.source();
    assert!(!poll_and_drop(1, world.fetch(&mut source)).await);
    world.clock.set_back(12 * S);
    assert_eq!(kind(world.fetch(&mut source).await), TRANSIENT);
    assert_eq!(world.presented(), ["r-1"]);
}

/// X4: later than that a second use is taken for a theft, so credentials log in instead, if there are any.
#[tokio::test(start_paused = true)]
async fn an_answer_lost_long_ago_is_given_up_for_a_login() {
    for set in [|_: &World| {}, |world: &World| world.clock.set_back(3600 * S), |world: &World| world.clock.set_forward(3600 * S)]
    {
        let world = World::scripted([Answer::LostReply; 3]).with_logins();
        assert_eq!(kind(world.fetch(&mut world.source()).await), TRANSIENT);
        set(&world);
        sleep(11 * S).await;
        // It stays given up when the login fails.
        world.book().script.push_back(Answer::Busy);
        assert_eq!(kind(world.fetch(&mut world.source()).await), TRANSIENT);
        assert_eq!(kind(world.fetch(&mut world.source()).await), ok("a-1"));
        assert_eq!((world.presented().len(), world.book().logins), (3, 2));
        assert_eq!(world.stored_refresh().await, world.book().delivered);
        assert_eq!(world.stored().await.in_flight_since(), None);
    }
}

/// F1, F2: a crash at any moment, and the next process asks for the answer at once. With a forgiving server no login is lost.
#[tokio::test(start_paused = true)]
async fn a_crash_at_any_moment_loses_nothing_that_the_server_forgives() {
    let mut sent = false;
    for steps in 0..40 {
        let world = World::new();
        *world.store.slow.lock().unwrap() = STEP;
        let mut source = world.source();
        let done = poll_and_drop(steps + 1, world.fetch(&mut source)).await;
        world.clock.crash().await;
        drop(source);
        let before = world.presented().len();
        let token = world.fetch(&mut world.source()).await.unwrap_or_else(|error| panic!("{error}: {steps} steps"));
        world.next(&mut world.source(), &token).await.unwrap();
        assert_eq!(world.stored_refresh().await, world.book().delivered, "{steps} steps");
        sent |= before == 1 && world.presented()[..2] == ["r-1", "r-1"];
        if done {
            assert!(sent && steps > 5, "one of the crashes was between request and answer");
            return;
        }
    }
    panic!("it never ends");
}

/// After a crash the answer is asked for first, since the server's patience ends before the old access token does; and that
/// serves if there is none.
#[tokio::test(start_paused = true)]
async fn after_a_crash_the_answer_comes_before_the_old_token() {
    for (script, wait, then, calls) in [
        (vec![], 0, "a-3", 3),
        (vec![Answer::Busy], 0, "a-1", 3),
        (vec![Answer::LostRequest; 3], 0, "a-1", 4),
        // Too late to be in a hurry.
        (vec![], 20, "a-1", 2),
    ] {
        let world = World::new();
        let mut source = world.source();
        let token = world.fetch(&mut source).await.unwrap();
        assert!(!poll_and_drop(2, world.next(&mut source, &token)).await);
        assert_eq!(world.presented(), ["r-1", "r-2"]);
        world.clock.crash().await;
        sleep(wait * S).await;
        world.book().script.extend(script.clone());
        assert_eq!(kind(world.fetch(&mut world.source()).await), ok(then), "{script:?}");
        assert_eq!(world.presented().len(), calls, "{script:?}");
    }
}

/// F10: whoever was faster, past a lock that did not hold, is adopted; once.
#[tokio::test(start_paused = true)]
async fn a_dead_refresh_token_may_have_been_used_by_somebody_else() {
    let mut theirs = Record::new(RefreshToken::new("r-9"));
    for (access, expected, presented) in [
        (Some("a-9"), ok("a-9"), vec!["r-1"]),
        // Theirs is used up, too: no third.
        (None, REFUSED, vec!["r-1", "r-9"]),
    ] {
        let world = World::scripted([Answer::Dead]);
        theirs.access = access.map(|secret| AccessToken::new(secret).unwrap());
        let mut source = world.source();
        assert!(!poll_and_drop(1, world.fetch(&mut source)).await);
        world.restore(theirs.clone()).await;
        assert_eq!(kind(world.fetch(&mut source).await), expected);
        assert_eq!(world.presented(), presented);
    }
    // And good, where it is good.
    let world = World::scripted([Answer::Dead]);
    let mut source = world.source();
    assert!(!poll_and_drop(1, world.fetch(&mut source)).await);
    world.book().live = "r-9".to_owned();
    world.restore(theirs).await;
    world.book().script.clear();
    let result = world.fetch(&mut source).await;
    assert_eq!((kind(result), world.presented().len()), (ok("a-1"), 2));
}

/// F10: and no third, whoever else has been faster still.
#[tokio::test(start_paused = true)]
async fn somebody_else_is_followed_once() {
    let world = World::scripted([Answer::Dead, Answer::Dead]);
    let mut source = world.source();
    assert!(!poll_and_drop(1, world.fetch(&mut source)).await);
    world.restore(Record::new(RefreshToken::new("r-8"))).await;
    assert!(!poll_and_drop(2, world.fetch(&mut source)).await);
    assert_eq!(world.presented(), ["r-1", "r-8"]);
    world.restore(Record::new(RefreshToken::new("r-9"))).await;
    assert_eq!(kind(world.fetch(&mut source).await), REFUSED);
    assert_eq!(world.presented(), ["r-1", "r-8"]);
    assert_eq!(world.stored_refresh().await.as_deref(), Some("r-9"), "for the next fetch");
}

/// Before a dead refresh token is a login, the store has been read again; if that fails, nothing more is sent for now.
#[tokio::test(start_paused = true)]
async fn a_dead_refresh_token_waits_for_the_store() {
    for logins in [false, true] {
        let mut world = World::scripted([Answer::Dead]);
        world.server.takes_logins = logins;
        let mut source = world.source();
        world.store.fail_nth(3, Fault::Fails);
        assert_eq!(kind(world.fetch(&mut source).await), TRANSIENT);
        assert_eq!(world.stored_refresh().await, None, "stored by then");
        assert_eq!(world.book().logins, 0);
        assert_eq!(kind(world.fetch(&mut source).await), if logins { ok("a-1") } else { REFUSED });
        assert_eq!(world.presented(), ["r-1"]);
    }
}

/// F14: somebody has written although the lock was held here. Another refresh token stands; the one that was sent here, whether
/// with a note of theirs or not, gives way to its successor.
#[tokio::test(start_paused = true)]
async fn of_two_refresh_tokens_the_newer_one_stays() {
    for (theirs, stays) in [("r-9", "r-9"), ("r-1", "r-2")] {
        let world = World::new();
        let mut source = world.source();
        assert!(!poll_and_drop(1, world.fetch(&mut source)).await);
        world.restore(Record::new(RefreshToken::new(theirs))).await;
        assert_eq!(kind(world.fetch(&mut source).await), ok("a-1"), "it is good, whoever was first");
        assert_eq!(world.stored_refresh().await.as_deref(), Some(stays));
        assert_eq!(world.clock.running(), 0);
    }
}

/// F9: a backup with an old refresh token costs one call, and no loop.
#[tokio::test(start_paused = true)]
async fn a_restored_backup_is_tried_once() {
    let world = World::new();
    let mut source = world.source();
    let token = world.fetch(&mut source).await.unwrap();
    sleep(60 * S).await;
    world.restore(Record::new(RefreshToken::new("r-1"))).await;
    for _ in 0..5 {
        assert_eq!(kind(world.next(&mut source, &token).await), REFUSED);
        sleep(300 * S).await;
    }
    assert_eq!(world.presented(), ["r-1", "r-1"]);
}

/// F4: without the lock, or without the note, nothing is sent; an access token in the store still serves.
#[tokio::test(start_paused = true)]
async fn a_store_that_fails_before_the_exchange_fails_closed() {
    for (nth, fault) in [(0, Fault::Fails), (0, Fault::Hangs), (1, Fault::Fails), (2, Fault::Fails), (2, Fault::FailsAfterwards)]
    {
        let world = World::new().with_logins();
        let mut source = world.source();
        world.store.fail_nth(nth, fault);
        let error = world.fetch(&mut source).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Transient);
        assert!(error.source().is_some_and(|source| source.is::<StoreError>()), "{error:?}");
        assert_eq!((world.presented().len(), world.book().logins), (0, 0), "{nth}, {fault:?}");
        assert_eq!(kind(world.fetch(&mut source).await), ok("a-1"));
        assert_eq!(world.presented(), ["r-1"]);
    }
    let world = World::new();
    world.fetch(&mut world.source()).await.unwrap();
    let _lock = world.store.memory.lock().await.unwrap();
    let waited = tokio::time::Instant::now();
    assert_eq!(kind(world.fetch(&mut world.source()).await), ok("a-1"));
    assert_eq!(waited.elapsed(), 20 * S);
    let error = world.next(&mut world.source(), &AccessToken::new("a-1").unwrap()).await.unwrap_err();
    let store = error.source().and_then(|source| source.downcast_ref::<StoreError>()).unwrap();
    assert_eq!((store.kind(), error.kind()), (StoreErrorKind::Busy, ErrorKind::Transient));
    assert_eq!(world.presented(), ["r-1"]);
}

/// F7: what came is handed out although it cannot be stored, is stored as soon as that can be, and is the next one to be sent.
/// Meanwhile the lock is kept, so that nobody sends the spent one.
#[tokio::test(start_paused = true)]
async fn a_store_that_fails_after_the_exchange_loses_nothing() {
    for fault in [Fault::Fails, Fault::FailsAfterwards, Fault::Hangs] {
        let world = World::new();
        let mut source = world.source();
        let token = {
            let fetch = world.fetch(&mut source);
            tokio::pin!(fetch);
            assert!(!poll_and_drop(1, &mut fetch).await);
            world.store.fail(fault);
            fetch.await.unwrap()
        };
        assert_eq!(token.expose_secret(), "a-1");
        // It serves from memory, but nothing more is sent.
        let mut sibling = Rotation::new(source.exchange.clone(), source.login().clone());
        assert_eq!(kind(world.fetch(&mut sibling).await), ok("a-1"), "{fault:?}");
        assert_eq!(kind(world.next(&mut source, &token).await), TRANSIENT, "{fault:?}");
        assert_eq!(world.presented(), ["r-1"], "{fault:?}");

        world.store.heal();
        let other = kind(world.fetch(&mut world.source()).await);
        assert_ne!(other, ok("a-2"), "somebody else waits, or adopts");
        // Without a fetch, and without a source.
        drop(source);
        sleep(70 * S).await;
        assert_eq!(world.stored_refresh().await.as_deref(), Some("r-2"), "{fault:?}");
        assert_eq!(world.clock.running(), 0, "{fault:?}");
        assert_eq!(kind(world.next(&mut world.source(), &token).await), ok("a-2"));
        assert_eq!(world.presented(), ["r-1", "r-2"]);
    }
}

/// Every call of the store goes wrong in every way, and the newest refresh token is stored in the end and is the next one sent.
#[tokio::test(start_paused = true)]
async fn no_fault_of_the_store_at_any_call_loses_the_newest_refresh_token() {
    for fault in FAULTS {
        for nth in 0.. {
            let case = format!("{fault:?} at call {nth}");
            let world = World::new();
            let mut source = world.source();
            world.store.fail_nth(nth, fault);
            let mut previous: Option<AccessToken> = None;
            for _ in 0..3 {
                let reason = if previous.is_some() { Expiring } else { First };
                if let Ok(token) = source.fetch(world.cx(reason, previous.as_ref())).await {
                    previous = Some(token);
                }
            }
            let used = world.store.calls.load(std::sync::atomic::Ordering::SeqCst) > nth;
            world.store.heal();
            sleep(120 * S).await;
            assert_eq!(world.stored_refresh().await, world.book().delivered, "{case}");
            assert_eq!(world.book().reused.len(), 0, "{case}");
            let before = world.presented();
            let newest = world.book().delivered.clone();
            world.next(&mut world.source(), &previous.unwrap()).await.unwrap_or_else(|error| panic!("{error}: {case}"));
            assert_eq!(world.presented()[before.len()..], [newest.unwrap()], "{case}");
            let mut once = world.presented();
            once.dedup();
            assert_eq!(once, world.presented(), "{case}");
            if !used {
                assert!(nth > 8, "{case}");
                break;
            }
        }
    }
}

/// DESIGN 4: a fetch that took too long left the exchange running, and the next one joins it.
#[tokio::test(start_paused = true)]
async fn a_fetch_that_timed_out_is_joined_and_not_repeated() {
    let mut world = World::new();
    world.server.slow = 20 * S;
    let mut source = world.source();
    assert!(timeout(30 * S, world.fetch(&mut source)).await.is_err());
    let token = timeout(30 * S, world.fetch(&mut source)).await.unwrap().unwrap();
    assert_eq!(world.presented(), ["r-1"]);
    assert_eq!((token.expose_secret(), token.lifetime()), ("a-1", Some(970 * S)), "counted from this fetch, which began later");

    // It lands between two fetches, and is good.
    assert!(timeout(30 * S, world.next(&mut source, &token)).await.is_err());
    sleep(100 * S).await;
    let token = world.next(&mut source, &token).await.unwrap();
    assert_eq!((token.expose_secret(), token.lifetime()), ("a-2", Some(870 * S)));
    assert_eq!(world.presented(), ["r-1", "r-2"]);

    // It lands, and nobody asks until it is spent.
    assert!(timeout(30 * S, world.next(&mut source, &token)).await.is_err());
    sleep(2000 * S).await;
    assert_eq!(kind(world.next(&mut source, &token).await), ok("a-4"));
    assert_eq!(world.presented(), ["r-1", "r-2", "r-3", "r-4"]);

    // An error that comes while it is waited for is the answer: no second exchange in one fetch.
    let token = AccessToken::new("a-4").unwrap();
    world.book().script.push_back(Answer::Busy);
    assert!(timeout(30 * S, world.next(&mut source, &token)).await.is_err());
    assert_eq!(kind(world.next(&mut source, &token).await), TRANSIENT);
    assert_eq!(world.presented().len(), 5);

    // An error of long ago is not an answer to the next fetch.
    world.book().script.push_back(Answer::Busy);
    assert!(timeout(30 * S, world.next(&mut source, &token)).await.is_err());
    sleep(100 * S).await;
    assert_eq!(kind(world.next(&mut source, &token).await), ok("a-5"));

    // What is joined is not the token that was rejected meanwhile.
    assert!(timeout(30 * S, world.next(&mut source, &AccessToken::new("a-5").unwrap())).await.is_err());
    sleep(100 * S).await;
    let rejected = AccessToken::new("a-6").unwrap();
    assert_eq!(kind(source.fetch(world.cx(Rejected, Some(&rejected))).await), ok("a-7"));
    assert_eq!(world.book().reused.len(), 0);
}

/// A token that may be used once only is still handed to whoever joined in time.
#[tokio::test(start_paused = true)]
async fn a_short_token_reaches_whoever_waits_for_it() {
    let mut world = World::new();
    world.server.slow = 20 * S;
    world.book().life = Duration::ZERO;
    let mut source = world.source();
    assert!(timeout(30 * S, world.fetch(&mut source)).await.is_err());
    let token = world.fetch(&mut source).await.unwrap();
    assert_eq!((token.expose_secret(), token.lifetime(), token.expiry()), ("a-1", Some(Duration::ZERO), None));
}

/// What was handed out is not handed out again: who asks has no use for it, whether he says so or not.
#[tokio::test(start_paused = true)]
async fn a_token_is_handed_out_once() {
    let world = World::new();
    let mut source = world.source();
    for n in 1..4 {
        assert_eq!(kind(world.fetch(&mut source).await), ok(&format!("a-{n}")));
    }
    assert_eq!(world.presented(), ["r-1", "r-2", "r-3"]);
}

/// E5: a fetch is dropped after every number of polls; the next one comes to the end of the same exchange.
#[tokio::test(start_paused = true)]
async fn a_fetch_may_be_dropped_after_any_poll() {
    for polls in 0.. {
        let world = World::new();
        *world.store.slow.lock().unwrap() = STEP;
        let mut source = world.source();
        let completed = poll_and_drop(polls, world.fetch(&mut source)).await;
        if !completed {
            let token = timeout(60 * S, world.fetch(&mut source)).await.unwrap().unwrap();
            assert_eq!(token.expose_secret(), "a-1", "after {polls} polls");
        }
        assert_eq!(world.presented(), ["r-1"], "after {polls} polls");
        assert_eq!(world.stored_refresh().await.as_deref(), Some("r-2"), "after {polls} polls");
        if completed {
            assert!(polls > 6, "the sweep went through the waits: {polls}");
            return;
        }
    }
}

/// E5: the same for the source: what is in flight is finished and stored without it, and nothing stays behind.
#[tokio::test(start_paused = true)]
async fn a_source_may_be_dropped_after_any_poll() {
    for polls in 1.. {
        let world = World::new();
        *world.store.slow.lock().unwrap() = STEP;
        let mut source = world.source();
        let completed = poll_and_drop(polls, world.fetch(&mut source)).await;
        drop(source);
        sleep(10 * S).await;
        assert_eq!(world.clock.running(), 0, "after {polls} polls");
        assert_eq!(world.presented(), ["r-1"], "after {polls} polls");
        assert_eq!(world.stored_refresh().await.as_deref(), Some("r-2"), "after {polls} polls");
        if completed {
            assert!(polls > 6, "the sweep went through the waits: {polls}");
            return;
        }
    }
}

/// A panic is an error, lets go of the lock, and loses nothing: the answer is asked for again.
#[tokio::test(start_paused = true)]
async fn a_panic_is_an_error() {
    let world = World::scripted([Answer::Panic]);
    let mut source = world.source();
    assert_eq!(kind(world.fetch(&mut source).await), Err(ErrorKind::Panicked));
    assert_eq!(kind(world.fetch(&mut world.source()).await), ok("a-1"), "somebody else");
    assert_eq!(kind(world.fetch(&mut source).await), ok("a-1"));
    assert_eq!((world.presented(), world.book().reused.len()), (vec!["r-1".to_owned(); 2], 0));
}

/// L3: a source whose runtime is gone goes on in another.
#[test]
fn a_source_outlives_its_runtime() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let (first, second) = (runtime(), runtime());
    let world = first.block_on(async { World::new() });
    let mut source = world.source();
    assert!(!first.block_on(poll_and_drop(1, world.fetch(&mut source))));
    drop(first);
    let token = second.block_on(async { source.fetch(FetchContext::new(First)).await });
    assert_eq!(kind(token), ok("a-2"), "the first was lost with the runtime");
    // And outside one it says so, with nothing sent.
    drop(second);
    let calls = world.presented().len();
    let mut fetch = tokio_test::task::spawn(async { world.source().fetch(FetchContext::new(First)).await });
    assert_eq!(kind(tokio_test::assert_ready!(fetch.poll())), Err(ErrorKind::Misconfigured));
    assert_eq!(world.presented().len(), calls);
}

/// F6: what cannot be read is kept, and nothing is sent.
#[tokio::test(start_paused = true)]
async fn an_unreadable_store_is_for_a_person_to_look_at() {
    struct Broken;

    impl TokenStore for Broken {
        type Guard = ();

        async fn read(&self) -> Result<Option<Record>, StoreError> {
            Err(StoreError::unreadable("scripted"))
        }

        async fn lock(&self) -> Result<(), StoreError> {
            Ok(())
        }

        async fn compare_and_set(&self, _: &mut (), _: u64, _: &Record) -> Result<(), StoreError> {
            panic!("it would be overwritten")
        }
    }

    let World { server, .. } = World::new().with_logins();
    let mut source = Rotation::new(server.clone(), Login::new(Broken));
    let error = source.fetch(FetchContext::new(First)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Misconfigured);
    let book = server.book();
    assert_eq!((book.presented.len(), book.logins), (0, 0));
}

/// A login by a person takes the place of the one before, under the lock: a refresh in flight is finished first, and undoes
/// nothing.
#[tokio::test(start_paused = true)]
async fn a_new_login_waits_for_a_refresh_in_flight() {
    let world = World::new();
    let mut source = world.source();
    assert!(!poll_and_drop(1, world.fetch(&mut source)).await);
    let asked = Moment::now(&*world.clock);
    let exchanged = Exchanged {
        refresh: Some(RefreshToken::new("r-9")),
        token: AccessToken::new("a-9").map(|token| token.expires_in(1000 * S)),
        login_again: false,
        unanswered: false,
        id_token: None,
    };
    // Dropped at once, by a browser that goes away: it goes on.
    assert!(!poll_and_drop(1, source.login().begin(exchanged, None, asked, &world.clock())).await);
    sleep(S).await;
    assert_eq!(world.stored_refresh().await.as_deref(), Some("r-9"));
    assert_eq!(world.stored().await.access_token().unwrap().expiry(), Some(asked.wall + 1000 * S));
    assert_eq!(kind(world.fetch(&mut source).await), ok("a-9"), "not what the login before had brought");
    assert_eq!(world.presented(), ["r-1"]);
}

/// F7: a code is good once, so what it brought is kept while the store fails, and goes before everything in it.
#[tokio::test(start_paused = true)]
async fn a_new_login_survives_a_store_that_fails() {
    for fault in FAULTS {
        for nth in 0..3 {
            let world = World::new();
            world.fetch(&mut world.source()).await.unwrap();
            let mut source = world.source();
            world.store.fail_nth(nth, fault);
            let exchanged = world.server.log_in();
            let begun = source.login().begin(exchanged, None, Moment::now(&*world.clock), &world.clock()).await;
            if let Err(error) = begun {
                assert!(matches!(error.kind(), ErrorKind::Transient | ErrorKind::Panicked), "{fault:?} at {nth}: {error}");
            }
            assert_eq!(kind(world.fetch(&mut source).await), ok("a-2"), "{fault:?} at {nth}");
            sleep(120 * S).await;
            assert_eq!(world.stored_refresh().await, world.book().delivered, "{fault:?} at {nth}");
        }
    }
}

/// A write that was said to have failed, and has happened, is not offered again when the lock is lost: somebody else has gone on
/// with what it stored, and the refresh token in it is spent.
#[tokio::test(start_paused = true)]
async fn a_new_login_that_was_stored_is_not_stored_again() {
    let world = World::new();
    let source = world.source();
    // The lock, the first write, a read, and the write that counts.
    world.store.fail_nth(3, Fault::FailsAfterwards);
    let exchanged = world.server.log_in();
    assert!(source.login().begin(exchanged, None, Moment::now(&*world.clock), &world.clock()).await.is_ok());
    world.store.fail_nth(0, Fault::Lost);
    world.restore(Record::new(RefreshToken::new("r-9"))).await;
    sleep(120 * S).await;
    assert_eq!(world.stored_refresh().await.as_deref(), Some("r-9"));
}

/// A code that brought a refresh token and an unreadable rest has begun a login (G3); one that brought nothing has not.
#[tokio::test(start_paused = true)]
async fn a_new_login_without_an_access_token() {
    let world = World::new();
    let mut source = world.source();
    let error = || Err(TokenError::new(ErrorKind::Transient, "scripted"));
    let begin = async |refresh: Option<&str>| {
        let refresh = refresh.map(RefreshToken::new);
        let exchanged = Exchanged { refresh, token: error(), login_again: false, unanswered: false, id_token: None };
        source.login().begin(exchanged, None, Moment::now(&*world.clock), &world.clock()).await.unwrap_err().kind()
    };
    assert_eq!(begin(None).await, ErrorKind::Transient);
    assert_eq!(begin(Some("")).await, ErrorKind::Transient);
    assert_eq!(world.stored_refresh().await.as_deref(), Some("r-1"));
    assert_eq!(begin(Some("r-9")).await, ErrorKind::Transient);
    assert_eq!(world.stored_refresh().await.as_deref(), Some("r-9"));
    world.book().live = "r-9".to_owned();
    assert_eq!(kind(world.fetch(&mut source).await), ok("a-1"));
}

/// F19: the end waits for a refresh in flight and takes back what that brought; afterwards nothing is sent, not even credentials.
#[tokio::test(start_paused = true)]
async fn the_end_revokes_what_a_refresh_in_flight_brought() {
    let world = World::new().with_logins();
    let mut source = world.source();
    assert!(!poll_and_drop(1, world.fetch(&mut source)).await);
    let revoked = Arc::new(std::sync::Mutex::new(Vec::new()));
    let revoke = |outcome: Result<(), TokenError>| {
        let revoked = Arc::clone(&revoked);
        move |record: Record| async move {
            let secrets = [record.refresh_token().unwrap().expose_secret(), record.access_token().unwrap().expose_secret()];
            revoked.lock().unwrap().extend(secrets.map(str::to_owned));
            outcome
        }
    };
    let down = || TokenError::new(ErrorKind::Transient, "scripted");
    assert_eq!(source.login().end(revoke(Err(down())), &world.clock()).await.unwrap_err().kind(), ErrorKind::Transient);
    assert_eq!(world.stored_refresh().await.as_deref(), Some("r-2"), "it goes on, and may be ended again");
    source.login().end(revoke(Ok(())), &world.clock()).await.unwrap();
    assert_eq!(*revoked.lock().unwrap(), ["r-2", "a-1", "r-2", "a-1"]);
    // Again: there is nothing left.
    source.login().end(revoke(Ok(())), &world.clock()).await.unwrap();
    assert_eq!(revoked.lock().unwrap().len(), 4);

    let stored = world.stored().await;
    assert!(stored.is_ended() && stored.refresh_token().is_none() && stored.access_token().is_none());
    assert_eq!(kind(world.fetch(&mut source).await), REFUSED, "what had landed before the end was taken back");
    assert_eq!(kind(world.fetch(&mut world.source()).await), REFUSED);
    assert_eq!((world.presented(), world.book().logins), (vec!["r-1".to_owned()], 0));

    let exchanged = world.server.log_in();
    source.login().begin(exchanged, None, Moment::now(&*world.clock), &world.clock()).await.unwrap();
    assert_eq!(kind(world.fetch(&mut source).await), ok("a-2"));
}

/// F19, F14: a tombstone that was written past a lock that did not hold is not undone by a refresh in flight.
#[tokio::test(start_paused = true)]
async fn a_tombstone_stands() {
    let world = World::new().with_logins();
    let mut source = world.source();
    assert!(!poll_and_drop(1, world.fetch(&mut source)).await);
    world.restore(Record { ended: true, ..Record::default() }).await;
    assert_eq!(kind(world.fetch(&mut source).await), REFUSED);
    assert!(world.stored().await.is_ended());
    // Also when it comes before the answer that the refresh token is dead.
    let world = World::scripted([Answer::Dead]).with_logins();
    let mut source = world.source();
    assert!(!poll_and_drop(1, world.fetch(&mut source)).await);
    world.restore(Record { ended: true, ..Record::default() }).await;
    assert_eq!(kind(world.fetch(&mut source).await), REFUSED);
    assert_eq!(world.book().logins, 0);
}

/// F7 of the end: the tombstone is kept while the store fails, and nothing is sent meanwhile.
#[tokio::test(start_paused = true)]
async fn the_end_survives_a_store_that_fails() {
    let world = World::new().with_logins();
    let mut source = world.source();
    world.store.fail_nth(2, Fault::Fails);
    assert!(source.login().end(|_| async { Ok(()) }, &world.clock()).await.is_err());
    assert_eq!(kind(world.fetch(&mut source).await), REFUSED);
    assert!(world.stored().await.is_ended());
    assert_eq!((world.presented().len(), world.book().logins), (0, 0));
}

/// S3.
#[test]
fn debug_shows_no_secret() {
    let source = Rotation::new(Server::new(), Login::new(MemoryStore::holding(RefreshToken::new("CANARY"))));
    assert_eq!(format!("{source:?} {:?}", source.login()), "Rotation { .. } Login { .. }");
}

/// What happens to a login, in any order.
#[derive(Clone, Copy, Debug)]
enum Event {
    /// A fetch that is given up after so many steps, if it lasts that long.
    Fetch {
        steps: u32,
    },
    /// The next call is answered like this.
    Answers(Answer),
    /// A call of the store goes wrong, after so many that do not.
    Fault {
        nth: usize,
        fault: Fault,
    },
    /// Every call does, until it is healed.
    StoreIsDown,
    StoreIsHealed,
    /// The source goes, and another one comes: in the same process, on the same login or on its own.
    AnotherSource {
        same_login: bool,
    },
    Wait(u32),
}

fn event() -> impl Strategy<Value = Event> {
    let answer = prop_oneof![
        Just(Answer::Rotate),
        Just(Answer::Omit),
        Just(Answer::HalfReadable),
        Just(Answer::Busy),
        Just(Answer::LostReply),
        Just(Answer::LostRequest),
        Just(Answer::Panic),
        Just(Answer::Dead),
    ];
    // A lease that is lost needs a server to decide who was first, so it has tests of its own.
    let fault = prop_oneof![Just(Fault::Fails), Just(Fault::FailsAfterwards), Just(Fault::Hangs), Just(Fault::Panics)];
    prop_oneof![
        6 => (0u32..60).prop_map(|steps| Event::Fetch { steps }),
        3 => answer.prop_map(Event::Answers),
        3 => (0usize..8, fault).prop_map(|(nth, fault)| Event::Fault { nth, fault }),
        1 => Just(Event::StoreIsDown),
        1 => Just(Event::StoreIsHealed),
        2 => any::<bool>().prop_map(|same_login| Event::AnotherSource { same_login }),
        2 => (0u32..200).prop_map(Event::Wait),
    ]
}

async fn story(events: &[Event], logins: bool) {
    let mut world = World::new();
    world.server.takes_logins = logins;
    // Forgives a repeat for as long as one may be sent.
    world.book().grace = 3600 * S;
    *world.store.slow.lock().unwrap() = STEP;
    let mut source = world.source();
    let mut previous: Option<AccessToken> = None;
    for event in events {
        match *event {
            Event::Fetch { steps } => {
                let reason = if previous.is_some() { Expiring } else { First };
                let fetch = source.fetch(world.cx(reason, previous.as_ref()));
                if let Ok(Ok(token)) = timeout(steps * STEP, fetch).await {
                    previous = Some(token);
                }
            }
            Event::Answers(answer) => world.book().script.push_back(answer),
            Event::Fault { nth, fault } => world.store.fail_nth(nth, fault),
            Event::StoreIsDown => world.store.fail(Fault::Fails),
            Event::StoreIsHealed => world.store.heal(),
            Event::AnotherSource { same_login: true } => {
                source = Rotation::new(world.server.clone(), source.login().clone());
            }
            Event::AnotherSource { same_login: false } => source = world.source(),
            Event::Wait(steps) => sleep(steps * STEP).await,
        }
    }
    world.store.heal();
    world.book().script.clear();
    // Whatever is in flight lands, and what was kept is stored; a lost answer is no longer in its window.
    sleep(300 * S).await;
    assert_eq!(world.clock.running(), 0, "nothing stays behind");

    let delivered = world.book().delivered.clone();
    let before = world.presented().len();
    let unsettled = world.stored().await.unsettled().is_some();
    assert_eq!(world.stored_refresh().await, delivered, "the newest refresh token is stored");
    let rejected = world.stored().await.access.unwrap_or_else(|| AccessToken::new("none").unwrap());
    let last = world.source().fetch(world.cx(Rejected, Some(&rejected))).await;
    let sent = world.presented()[before..].to_vec();
    match delivered {
        Some(_) if logins && unsettled => assert!(last.is_ok() && sent.is_empty(), "given up for a login: {sent:?}"),
        Some(newest) => assert!(last.is_ok() && sent == [newest], "the newest is the next: {sent:?}"),
        None => assert!(last.is_ok() == logins && sent.is_empty(), "a dead one is not sent again: {sent:?}"),
    }

    let book = world.book();
    assert!(book.reused.is_empty(), "sent after its answer had come: {:?}", book.reused);
    // A slack of two steps: the window begins when the note is written.
    let window = WINDOW - 2 * STEP;
    for (at, (token, since, _)) in book.presented.iter().enumerate().filter(|(_, (.., answer))| answer.is_lost()) {
        let row = book.presented[at..].iter().take_while(|(other, when, _)| other == token && *when - *since < window);
        let silent = row.clone().take_while(|(.., answer)| answer.says_nothing()).count();
        // And the one that was answered.
        let sent = row.count().min(silent + 1);
        assert!(sent <= TRIES as usize, "{sent} times: {token}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// The newest refresh token that any answer carried is in the store or in memory, and is the next one sent; none is sent
    /// again once its answer has come, and while that is lost, three times within 10 s.
    #[test]
    fn the_newest_refresh_token_survives(events in proptest::collection::vec(event(), 0..25), logins: bool) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(story(&events, logins));
    }
}
