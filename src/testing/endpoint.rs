use std::{
    collections::{HashMap, VecDeque},
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body::Body;

use super::{
    Fault, Hold,
    api_call::{Answered, ApiOutcome},
    gate::Gate,
    message::{self, Unread},
    payload::{Cut, Payload},
    setting::Setting,
};
use crate::error::BoxError;

/// A part of an emulator, with what may go wrong there and how often it was called.
///
/// All its switches take `&self` and take effect with the next call that arrives, or that is let go.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use tower_token::testing::Yolcu360Emulator;
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// let yolcu360 = Yolcu360Emulator::start().await?;
/// // The refresh endpoint serves one call a minute, and no answer comes before the test lets go.
/// yolcu360.refresh_endpoint().limit(1, Duration::from_secs(60));
/// let hold = yolcu360.refresh_endpoint().hold();
/// // Here the program under test runs.
/// drop(hold);
/// assert_eq!(yolcu360.refresh_endpoint().calls(), 0);
/// # Ok::<(), std::io::Error>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Endpoint {
    gate: Gate,
    answers: Gate,
    setting: Setting,
    plan: Mutex<Plan>,
}

#[derive(Default)]
struct Plan {
    faults: VecDeque<Fault>,
    faults_played: u64,
    limit: Option<Limit>,
    announces_retry_after: bool,
    delay: Duration,
    answers: HashMap<StatusCode, u64>,
    unanswered: u64,
}

/// At most so many calls in any stretch of `window`.
struct Limit {
    calls: usize,
    window: Duration,
    served: VecDeque<Instant>,
}

/// A call that has been let through the gate, and whose body has been read.
pub(super) struct Turn<'a> {
    endpoint: &'a Endpoint,
    fault: Option<Fault>,
    over_limit: Option<OverLimit>,
    pub(super) body: Result<Bytes, Unread>,
}

/// A call over the limit, and what its answer says about when to come back.
#[derive(Clone, Debug)]
pub(super) struct OverLimit(Option<HeaderValue>);

/// What goes wrong.
impl Endpoint {
    /// Keeps calls waiting while the [`Hold`] lives. They are counted when they come, and judged when they are let go.
    pub fn hold(&self) -> Hold {
        self.gate.hold()
    }

    /// Keeps answers waiting while the [`Hold`] lives. The calls have been judged, and what they asked for has been done: a
    /// refresh token is spent.
    pub fn hold_answers(&self) -> Hold {
        self.answers.hold()
    }

    /// How long an answer is on its way, by the emulator's clock. What it says was decided before that.
    ///
    /// # Defaults
    ///
    /// Zero.
    pub fn set_delay(&self, delay: Duration) {
        self.plan().delay = delay;
    }

    /// Lets calls fail. Several faults take their turns: the second begins when the first is over.
    pub fn inject(&self, fault: Fault) {
        self.plan().faults.push_back(fault);
    }

    /// Forgets all faults that are not over.
    pub fn clear_faults(&self) {
        self.plan().faults.clear();
    }

    /// Serves at most so many calls in any stretch of `window`, by the emulator's clock, and tells the others that they are
    /// too many; those do not count. With zero, no call is served. A call that a [`Fault`] answers is not counted.
    pub fn limit(&self, calls: usize, window: Duration) {
        self.plan().limit = Some(Limit { calls, window, served: VecDeque::new() });
    }

    /// Ends the [`limit`](Self::limit).
    pub fn unlimit(&self) {
        self.plan().limit = None;
    }

    /// Whether a call over the [`limit`](Self::limit) is told by `Retry-After`, in whole seconds, when to come back.
    ///
    /// # Defaults
    ///
    /// Off: no vendor's page shows it.
    pub fn announce_retry_after(&self, announce: bool) {
        self.plan().announces_retry_after = announce;
    }
}

/// What has happened since the start.
impl Endpoint {
    /// Calls that have arrived, held, refused and failed ones included.
    pub fn calls(&self) -> u64 {
        self.gate.arrived()
    }

    /// Waits until so many calls have arrived since the start.
    ///
    /// # Cancel safety
    ///
    /// It only looks. When it is dropped, nothing is lost.
    pub async fn calls_reached(&self, count: u64) {
        self.gate.reached(count).await;
    }

    /// Waits until so many calls have been judged since the start, those with a fault included, and held answers too.
    ///
    /// # Cancel safety
    ///
    /// It only looks. When it is dropped, nothing is lost.
    pub async fn answers_reached(&self, count: u64) {
        self.answers.reached(count).await;
    }

    /// Answers that were sent with this status, those of faults included. One that was cut has none.
    pub fn answers(&self, status: StatusCode) -> u64 {
        self.plan().answers.get(&status).copied().unwrap_or_default()
    }

    /// Calls that were cut without a byte of an answer: [`Fault::cut`] and [`Fault::lost`].
    pub fn unanswered(&self) -> u64 {
        self.plan().unanswered
    }

    /// Calls that met a fault.
    pub fn faults_played(&self) -> u64 {
        self.plan().faults_played
    }
}

impl Endpoint {
    pub(super) fn new(setting: Setting) -> Endpoint {
        Endpoint { gate: Gate::new(), answers: Gate::new(), setting, plan: Mutex::default() }
    }

    /// Waits at the gate, reads the body, and then looks what is to go wrong.
    pub(super) async fn turn<B>(&self, body: B) -> Turn<'_>
    where
        B: Body<Data = Bytes, Error: Into<BoxError>>,
    {
        self.gate.enter().await;
        let body = message::read(body).await;
        let now = self.setting.now().mono;
        let mut plan = self.plan();
        let fault = plan.next_fault();
        let acts = fault.as_ref().is_none_or(Fault::is_after_acting);
        let over_limit = if acts { plan.over_limit(now) } else { None };
        Turn { endpoint: self, fault, over_limit, body }
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn<'_> {
    /// Whether the emulator is to act: otherwise a fault answers in its place.
    pub(super) fn acts(&self) -> bool {
        self.fault.as_ref().is_none_or(Fault::is_after_acting)
    }

    pub(super) fn over_limit(&self) -> Option<OverLimit> {
        self.over_limit.clone()
    }

    /// What goes out in place of this answer; `None` where the emulator did not act.
    pub(super) fn spoil(&self, response: Option<Response<Bytes>>) -> Result<Response<Payload>, Cut> {
        let response = response.unwrap_or_default();
        match &self.fault {
            Some(fault) => fault.spoil(response, self.endpoint.setting.error_shape()),
            None => Ok(response.map(Payload::from)),
        }
    }

    /// Answers a call to an API as `judge` has it, if the emulator is to act, and gives `note` what became of it.
    pub(super) async fn answer_api(
        self,
        judge: impl FnOnce(&Self) -> (Response<Bytes>, ApiOutcome),
        note: impl FnOnce(Answered),
    ) -> Result<Response<Payload>, Cut> {
        let (response, outcome) = match self.acts().then(|| judge(&self)) {
            Some((response, outcome)) => (Some(response), outcome),
            None => (None, ApiOutcome::Faulted),
        };
        let answer = self.spoil(response);
        let body_length = self.body.as_ref().map_or(0, Bytes::len);
        note(Answered { body_length, outcome, status: answer.as_ref().ok().map(Response::status) });
        self.send(answer).await
    }

    /// Sends it. The answer is made and on its way: a slow reply has a token in it that was already growing old.
    ///
    /// Its `Date` is of the emulator's clock, like the expiries in it: of the machine's, it would put them off by as much as the
    /// two differ.
    pub(super) async fn send(self, mut answer: Result<Response<Payload>, Cut>) -> Result<Response<Payload>, Cut> {
        let now = self.endpoint.setting.now();
        let delay = {
            let mut plan = self.endpoint.plan();
            match &mut answer {
                Ok(response) => {
                    *plan.answers.entry(response.status()).or_default() += 1;
                    if let Some(date) = message::date(now) {
                        response.headers_mut().entry(header::DATE).or_insert(date);
                    }
                }
                Err(Cut) => plan.unanswered += 1,
            }
            plan.delay
        };
        self.endpoint.answers.enter().await;
        if let Some(sleep) = self.endpoint.setting.sleep(delay) {
            sleep.await;
        }
        answer
    }
}

impl OverLimit {
    /// Adds `Retry-After`, if that is announced.
    pub(super) fn mark(self, mut response: Response<Bytes>) -> Response<Bytes> {
        if let Some(seconds) = self.0 {
            response.headers_mut().insert(header::RETRY_AFTER, seconds);
        }
        response
    }
}

impl Plan {
    fn next_fault(&mut self) -> Option<Fault> {
        while let Some(first) = self.faults.front_mut() {
            if let Some(fault) = first.take() {
                self.faults_played += 1;
                return Some(fault);
            }
            self.faults.pop_front();
        }
        None
    }

    fn over_limit(&mut self, now: Instant) -> Option<OverLimit> {
        let wait = self.limit.as_mut()?.wait(now)?;
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        Some(OverLimit(self.announces_retry_after.then(|| HeaderValue::from(seconds))))
    }
}

impl Limit {
    /// Counts a call; if it is one too many, says how long until there is room.
    fn wait(&mut self, now: Instant) -> Option<Duration> {
        let age = |served: &Instant| now.saturating_duration_since(*served);
        while self.served.front().is_some_and(|served| age(served) >= self.window) {
            self.served.pop_front();
        }
        if self.served.len() < self.calls {
            self.served.push_back(now);
            return None;
        }
        Some(self.window - self.served.front().map(age).unwrap_or_default())
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").field("calls", &self.calls()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The window slides, calls over the limit do not count, and zero serves nobody.
    #[test]
    fn the_limit() {
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let mut limit = Limit { calls: 2, window: 10 * second, served: VecDeque::new() };
        for (at, wait) in [(0, None), (4, None), (5, Some(5)), (9, Some(1)), (10, None), (11, Some(3)), (14, None)] {
            assert_eq!(limit.wait(start + at * second), wait.map(|wait| wait * second), "{at}");
        }
        let mut closed = Limit { calls: 0, window: 10 * second, served: VecDeque::new() };
        assert_eq!(closed.wait(start), Some(10 * second));
    }

    /// Faults take their turns, each as often as it says.
    #[test]
    fn faults_take_turns() {
        let mut plan = Plan::default();
        plan.faults.extend([Fault::cut().times(2), Fault::cut().times(0), Fault::lost().times(1)]);
        let acts: Vec<_> = std::iter::from_fn(|| plan.next_fault()).map(|fault| fault.is_after_acting()).collect();
        assert_eq!((acts, plan.faults_played), (vec![false, false, true], 3));
    }
}
