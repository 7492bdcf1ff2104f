//! One client per file.

mod hyper;
mod mock;
mod reqwest;
mod reqwest_middleware;
mod tonic;

pub(crate) use hyper::Hyper;
pub(crate) use mock::Mock;
pub(crate) use reqwest::Reqwest;
pub(crate) use reqwest_middleware::ReqwestMiddleware;
pub(crate) use tonic::Tonic;
