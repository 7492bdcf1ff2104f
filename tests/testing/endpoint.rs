//! What may go wrong at any part of an emulator, played at those of Yolcu360's.

use std::time::{Duration, SystemTime};

use http::{HeaderValue, StatusCode, header};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tower_token::testing::{ApiOutcome, ErrorShape, Fault, Yolcu360Code};

use crate::{
    client::Client,
    yolcu360::{Fixture, Tokens},
};

const SECOND: Duration = Duration::from_secs(1);

fn bad_gateway() -> Fault {
    Fault::status(StatusCode::BAD_GATEWAY)
}

/// A failure in place of an answer: status, shape, code, headers; the emulator does nothing meanwhile, so that the refresh
/// token is still good.
#[tokio::test]
async fn a_failure_in_place_of_an_answer() {
    let fixture = Fixture::new().await;
    let tokens = fixture.tokens().await;
    let endpoint = fixture.yolcu360.refresh_endpoint();
    for (fault, status, media_type, body) in [
        (bad_gateway(), 502, "application/json", r#"{"message":"Injected fault"}"#),
        (bad_gateway().code("1005"), 502, "application/json", r#"{"code":1005,"message":"Injected fault"}"#),
        (Fault::status(StatusCode::OK).shape(ErrorShape::Text), 200, "text/plain", "Injected fault"),
        (Fault::status(StatusCode::OK).shape(ErrorShape::Errors), 200, "application/json", r#"{"errors":["Injected fault"]}"#),
    ] {
        endpoint.inject(fault.times(1));
        let answer = fixture.send(fixture.refresh(&tokens.refresh)).await;
        assert_eq!((answer.status.as_u16(), answer.body.as_ref()), (status, body.as_bytes()));
        assert_eq!(answer.headers[header::CONTENT_TYPE], media_type);
    }
    for (shape, length) in [(ErrorShape::Empty, 0..1), (ErrorShape::Html, 30..200)] {
        endpoint.inject(Fault::status(StatusCode::OK).shape(shape).times(1));
        assert!(length.contains(&fixture.send(fixture.refresh(&tokens.refresh)).await.body.len()), "{shape:?}");
    }
    endpoint.inject(bad_gateway().header(header::RETRY_AFTER, HeaderValue::from_static("7")).times(1));
    assert_eq!(fixture.send(fixture.refresh(&tokens.refresh)).await.headers[header::RETRY_AFTER], "7");

    assert_eq!(fixture.refreshed(&tokens.refresh).await, (200, Value::Null));
    // Seven times in vain, and once for good: the server has seen it all.
    assert_eq!((fixture.yolcu360.presentations()[0], endpoint.faults_played()), (8, 7));
    let counted = [StatusCode::OK, StatusCode::BAD_GATEWAY].map(|status| endpoint.answers(status));
    assert_eq!((counted, endpoint.calls()), ([5, 3], 8));
}

/// G2: `Date` is of the clock that the expiries are of, in answers and in failures, unless a fault says otherwise.
#[tokio::test]
async fn date_is_the_emulators() {
    let fixture = Fixture::new().await;
    let endpoint = fixture.yolcu360.login_endpoint();
    let date = async || fixture.send(fixture.login()).await.headers[header::DATE].clone();
    assert_eq!(date().await, "Thu, 26 Dec 2024 10:00:00 GMT");
    fixture.clock.advance(90 * SECOND);
    endpoint.inject(bad_gateway().times(1));
    assert_eq!(date().await, "Thu, 26 Dec 2024 10:01:30 GMT");
    endpoint.inject(bad_gateway().header(header::DATE, HeaderValue::from_static("yesterday")).times(1));
    assert_eq!(date().await, "yesterday");
    fixture.clock.set_wall(SystemTime::UNIX_EPOCH - SECOND);
    assert_eq!(date().await, "Thu, 01 Jan 1970 00:00:00 GMT");
}

/// Faults last for so many times, one after the other, or until told; each part has its own.
#[tokio::test]
async fn faults_take_turns() {
    let fixture = Fixture::new().await;
    let endpoint = fixture.yolcu360.login_endpoint();
    let status = async || fixture.send(fixture.login()).await.status.as_u16();
    endpoint.inject(bad_gateway().times(2));
    endpoint.inject(Fault::status(StatusCode::GATEWAY_TIMEOUT));
    for expected in [502, 502, 504, 504, 504] {
        assert_eq!(status().await, expected);
    }
    let token = fixture.yolcu360.mint_refresh_token().unwrap();
    assert_eq!(fixture.refreshed(&token).await.0, 200);
    endpoint.clear_faults();
    assert_eq!(status().await, 200);
}

/// The rotation is done and its answer is lost, whichever way: the old token is spent, and nobody has the new one.
#[tokio::test]
async fn a_lost_answer() {
    for client in [Client::http1(), Client::http2()] {
        for fault in [Fault::lost(), bad_gateway().after_acting(), Fault::truncated(0), Fault::truncated(50)] {
            let fixture = Fixture { client: client.clone(), ..Fixture::new().await };
            let tokens = fixture.tokens().await;
            fixture.yolcu360.refresh_endpoint().inject(fault.clone().times(1));
            let answer = fixture.client.send(fixture.refresh(&tokens.refresh)).await;
            assert!(answer.is_err() || answer.unwrap().status == StatusCode::BAD_GATEWAY, "{fault:?}");
            assert_eq!(fixture.refreshed(&tokens.refresh).await, (401, json!(1004)), "{fault:?}");
            assert_eq!(fixture.yolcu360.presentations(), [2, 0], "{fault:?}");
        }
    }
}

/// The connection is cut before anything was done: the old token is still good. Over HTTP/2 only the stream is cut.
#[tokio::test]
async fn a_cut_connection() {
    for (client, connections) in [(Client::http1(), 2), (Client::http2(), 1)] {
        let fixture = Fixture { client, ..Fixture::new().await };
        let tokens = fixture.tokens().await;
        fixture.yolcu360.refresh_endpoint().inject(Fault::cut().times(1));
        assert!(fixture.client.send(fixture.refresh(&tokens.refresh)).await.is_err());
        assert_eq!(fixture.refreshed(&tokens.refresh).await.0, 200);
        assert_eq!((fixture.yolcu360.presentations()[0], fixture.yolcu360.connections()), (2, connections));
    }
}

/// A truncated body has its head, and its bytes up to there: the client sees the announced length, and then the end.
#[tokio::test]
async fn a_truncated_body() {
    let fixture = Fixture::new().await;
    let token = fixture.yolcu360.mint_access_token().unwrap();
    let whole = fixture.send(fixture.locations(&token)).await.body;
    for sent in [0, 1, 10] {
        fixture.yolcu360.api().inject(Fault::truncated(sent).times(1));
        let mut stream = TcpStream::connect(fixture.yolcu360.address()).await.unwrap();
        let head = format!("GET /api/v1/locations?query=istanbul HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {token}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200") && head.contains(&format!("content-length: {}", whole.len())), "{head}");
        assert_eq!(body.as_bytes(), &whole[..sent]);
    }
}

/// A body that only its parser finds wrong: G3's salvage is tested with these. The rotation is done each time.
#[tokio::test]
async fn a_corrupt_body() {
    let fixture = Fixture::new().await;
    type Corrupt<'a> = &'a dyn Fn(&str) -> bool;
    let fields = |text: &str| serde_json::from_str::<Value>(text).is_ok();
    let rows: [(Fault, Corrupt<'_>); 4] = [
        (Fault::shortened(100), &|text| text.len() == 100 && !fields(text)),
        (Fault::without("accessToken"), &|text| {
            fields(text) && !text.contains(r#""accessToken":"#) && text.contains(r#""refreshToken":"#)
        }),
        (Fault::with("accessToken", "17"), &|text| fields(text) && text.contains(r#""accessToken":17,"#)),
        (Fault::repeated("refreshToken", r#""spurious""#), &|text| {
            text.matches(r#""refreshToken":"#).count() == 2 && text.ends_with(r#","refreshToken":"spurious"}"#)
        }),
    ];
    for (fault, corrupt) in rows {
        let token = fixture.yolcu360.mint_refresh_token().unwrap();
        fixture.yolcu360.refresh_endpoint().inject(fault.clone().times(1));
        let answer = fixture.send(fixture.refresh(&token)).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert!(corrupt(std::str::from_utf8(&answer.body).unwrap()), "{fault:?}");
        assert_eq!(fixture.refreshed(&token).await.0, 401, "{fault:?}");
    }
}

/// A call that a fault answers is counted as such; one whose answer is spoilt afterwards, by what was made of it.
#[tokio::test]
async fn faults_at_the_api() {
    let fixture = Fixture::new().await;
    let token = fixture.yolcu360.mint_access_token().unwrap();
    let api = fixture.yolcu360.api();
    for (fault, status, outcome) in [
        (Fault::status(StatusCode::UNAUTHORIZED), Some(401), ApiOutcome::Faulted),
        (Fault::status(StatusCode::UNAUTHORIZED).after_acting(), Some(401), ApiOutcome::Served),
        (Fault::cut(), None, ApiOutcome::Faulted),
        (Fault::lost(), None, ApiOutcome::Served),
    ] {
        api.inject(fault.clone().times(1));
        let answer = fixture.client.send(fixture.locations(&token)).await;
        assert_eq!(answer.ok().map(|answer| answer.status.as_u16()), status, "{fault:?}");
        let call = fixture.yolcu360.calls().pop().unwrap();
        assert_eq!(
            (call.outcome, call.status.map(|status| status.as_u16()), call.token),
            (outcome, status, Some(1)),
            "{fault:?}"
        );
    }
    assert_eq!(fixture.called(&token).await, 200);
}

/// The limit slides with the emulator's clock, `Retry-After` is said if that is wanted, and a call over the limit spends nothing.
#[tokio::test]
async fn the_limit() {
    let fixture = Fixture::new().await;
    let tokens = fixture.tokens().await;
    let endpoint = fixture.yolcu360.refresh_endpoint();
    endpoint.limit(1, 10 * SECOND);
    let second = Tokens::of(&fixture.send(fixture.refresh(&tokens.refresh)).await);
    fixture.clock.advance(Duration::from_millis(2500));
    for (announced, retry_after) in [(false, None), (true, Some("8"))] {
        endpoint.announce_retry_after(announced);
        let answer = fixture.send(fixture.refresh(&second.refresh)).await;
        assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(answer.headers.get(header::RETRY_AFTER).map(|value| value.to_str().unwrap()), retry_after);
    }
    assert_eq!(fixture.yolcu360.answers(Yolcu360Code::RateLimited), 2);
    fixture.clock.advance(Duration::from_millis(7500));
    let third = Tokens::of(&fixture.send(fixture.refresh(&second.refresh)).await);
    assert_eq!(fixture.refreshed(&third.refresh).await, (429, json!(1005)));
    endpoint.unlimit();
    assert_eq!(fixture.refreshed(&third.refresh).await.0, 200);

    // At the API it is an outcome, and no look at the token.
    fixture.yolcu360.api().limit(0, SECOND);
    assert_eq!((fixture.called("abc").await, fixture.yolcu360.outcomes(ApiOutcome::RateLimited)), (429, 1));
}

/// Held calls arrive, are counted, and are judged when they are let go; other parts go on meanwhile.
#[tokio::test]
async fn calls_can_be_held() {
    let fixture = Fixture::new().await;
    let tokens = fixture.tokens().await;
    let endpoint = fixture.yolcu360.refresh_endpoint();
    let hold = endpoint.hold();
    let (first, second, ()) = tokio::join!(fixture.refreshed(&tokens.refresh), fixture.refreshed(&tokens.refresh), async {
        endpoint.calls_reached(2).await;
        assert_eq!((endpoint.calls(), fixture.yolcu360.presentations()), (2, vec![0]));
        assert_eq!(fixture.called(&tokens.access).await, 200);
        hold.release();
    });
    let mut statuses = [first.0, second.0];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 401], "a token is spent once, by whichever call comes first");

    let hold = fixture.yolcu360.api().hold();
    let (status, ()) = tokio::join!(fixture.called(&tokens.access), async {
        fixture.yolcu360.api().calls_reached(2).await;
        fixture.yolcu360.expire_access_tokens();
        drop(hold);
    });
    assert_eq!(status, 401);
}

/// A delayed answer is made before the delay: its token grows old on the way, and a lost one was acted upon.
#[tokio::test]
async fn answers_can_be_slow() {
    let fixture = Fixture::new().await;
    fixture.yolcu360.set_access_lifetime(10 * SECOND);
    fixture.yolcu360.login_endpoint().set_delay(10 * SECOND);
    let pass = async || {
        fixture.clock.until_sleeping(1).await;
        assert_eq!(fixture.clock.next_due(), Some(10 * SECOND));
        fixture.clock.advance(10 * SECOND);
    };
    let (tokens, ()) = tokio::join!(fixture.tokens(), pass());
    assert_eq!((fixture.called(&tokens.access).await, fixture.yolcu360.outcomes(ApiOutcome::TokenExpired)), (401, 1));
    fixture.yolcu360.login_endpoint().set_delay(Duration::ZERO);
    assert_eq!(fixture.called(&fixture.tokens().await.access).await, 200);
}

/// A held answer was made before: what happens meanwhile does not change it. Calls with a fault count as judged, cut ones too.
#[tokio::test]
async fn answers_can_be_held() {
    let fixture = Fixture::new().await;
    let login = fixture.yolcu360.login_endpoint();
    let hold = login.hold_answers();
    let (tokens, ()) = tokio::join!(fixture.tokens(), async {
        login.answers_reached(1).await;
        assert_eq!((login.calls(), login.answers(StatusCode::OK), fixture.yolcu360.tokens_issued()), (1, 1, 1));
        fixture.yolcu360.revoke_access_tokens();
        hold.release();
    });
    assert_eq!(fixture.called(&tokens.access).await, 401);

    for (fault, issued) in [(Fault::cut(), 1), (Fault::lost(), 2)] {
        login.inject(fault.times(1));
        assert!(fixture.client.send(fixture.login()).await.is_err());
        assert_eq!((login.unanswered(), fixture.yolcu360.tokens_issued()), (issued, issued));
    }
    login.answers_reached(3).await;
}

/// S3: the value that a fault puts into a field is not shown.
#[test]
fn debug_shows_no_value() {
    let shown = format!("{:?} {:?}", Fault::with("accessToken", "\"secret\""), Fault::repeated("refreshToken", "\"secret\""));
    assert!(shown.contains("accessToken") && shown.contains("refreshToken") && !shown.contains("secret"), "{shown}");
}
