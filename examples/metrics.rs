//! What a scrape shows of a client whose token is revoked and whose token endpoint is down for a while: Prometheus text on stdout.
//!
//! `cargo run --example metrics --features metrics,testing` plays it against an emulator of Yonne on loopback. `grafana.json`, beside
//! this file, is a dashboard for these metrics: import it in Grafana and choose your Prometheus.

use http::{Request, StatusCode};
use metrics_exporter_prometheus::PrometheusBuilder;
use tower::{Layer, ServiceExt};
use tower_token::{
    BearerAuthLayer, BoxError, Origins, RefreshConfig, TokenHandle, adapter::hyper::HyperClient, observe::describe_metrics,
    provider::yonne::Yonne, testing::YonneEmulator,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    // The recorder first: what is counted before it is installed is lost. A program would serve `prometheus.render()` under
    // `/metrics`, and call `prometheus.run_upkeep()` every few seconds.
    let buckets = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0];
    let recorder = PrometheusBuilder::new().set_buckets(&buckets)?.build_recorder();
    let prometheus = recorder.handle();
    metrics::set_global_recorder(recorder)?;
    describe_metrics();

    let yonne = YonneEmulator::start().await?;
    let source = Yonne::new(yonne.api_key(), yonne.api_secret())?.base_url(yonne.base_url())?;
    let tokens = TokenHandle::builder(source).config(RefreshConfig::new().name("yonne")).build();
    let layer = BearerAuthLayer::new(yonne.base_url().parse::<Origins>()?, tokens.clone());
    let client = layer.layer(HyperClient::new()?);
    let call = async || -> Result<StatusCode, BoxError> {
        let url = format!("{}/api/courier/s2s/metrics/summary", yonne.base_url());
        let request = Request::get(url).body(String::new())?;
        Ok(client.clone().oneshot(request).await?.status())
    };

    // Some traffic, a revocation in the midst of it, and more.
    for _ in 0..10 {
        call().await?;
    }
    yonne.revoke_all();
    for _ in 0..10 {
        call().await?;
    }
    // An outage of the token endpoint: a refresh fails, the token goes on serving.
    yonne.token_endpoint_down(true);
    tokens.reset();
    while tokens.status().failures() == 0 {
        call().await?;
    }
    // And one of everything: the token goes too, so that calls fail for want of one.
    tokens.replace_source_and_reject(Yonne::new(yonne.api_key(), yonne.api_secret())?.base_url(yonne.base_url())?);
    for _ in 0..3 {
        if call().await.is_ok() {
            return Err("a call went out without a token".into());
        }
    }
    // It is over.
    yonne.token_endpoint_down(false);
    tokens.reset();
    call().await?;
    tokio::task::yield_now().await;

    let text = prometheus.render();
    println!("{text}");
    for line in [
        r#"tower_token_fetches_total{engine="yonne",outcome="ok",reason="rejected"} 1"#,
        r#"tower_token_replays_total{engine="yonne",outcome="sent"} 1"#,
        r#"tower_token_unavailable_total{engine="yonne",outcome="failed",error_type="transient"} 3"#,
        r#"tower_token_state{engine="yonne",state="fresh"} 1"#,
    ] {
        if !text.contains(line) {
            return Err(format!("this is missing: {line}").into());
        }
    }
    Ok(())
}
