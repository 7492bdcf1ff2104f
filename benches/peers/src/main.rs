//! The workload of `compare` for the crates that people use today in the place of tower-token, in one process with
//! tower-token and with each other. `README.md` says what is compared, and where it is unfair.

mod account;
mod aws;
mod azure;
mod case;
mod endpoint;
mod fetch;
mod gcp;
mod gears;
mod google;
mod huskarl;
mod kube;
mod reqwest;
mod yup;

use std::process::ExitCode;

use case::BoxError;
use compare::{Case, Make, must};

/// The floor of layers that need an inner service with a boxed error.
const BOXED: &str = "floor: BoxError";

/// The floor of layers that need an inner service with the error of cf-gears-toolkit-http.
const GEARS: &str = "floor: cf-gears-toolkit-http";

fn main() -> ExitCode {
    if rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
        eprintln!("another crypto provider is installed");
        return ExitCode::FAILURE;
    }
    let mut cases = compare::ours();
    cases.extend([
        made(|| case::floor::<BoxError>(BOXED)),
        made(|| case::floor::<toolkit_http::HttpError>(GEARS)),
        made(reqwest::floor),
        made(azure::floor),
        made(aws::floor),
        made(reqwest::auth),
        made(|| kube::token_file(BOXED)),
        made(|| kube::exec(BOXED)),
        made(azure::policy),
        made(|| azure::identity(BOXED)),
        made(|| google::headers(BOXED)),
        made(|| gcp::token(BOXED)),
        made(|| yup::token(BOXED)),
        made(aws::bearer),
        made(|| gears::bearer(GEARS)),
        made(|| gears::auto_refresh(GEARS)),
        made(|| huskarl::headers(BOXED)),
    ]);
    compare::main(cases)
}

/// A case that cannot be made ends the run: a table without it would look complete.
fn made(make: impl Fn() -> Result<Box<dyn Case>, BoxError> + 'static) -> Make {
    Box::new(move || must(make()))
}
