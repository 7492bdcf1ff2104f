//! A person's browser: it keeps cookies and follows redirects, up to the one that leads back to the app.

use std::collections::HashMap;

use bytes::Bytes;
use http::{
    Request, Uri,
    header::{COOKIE, LOCATION, SET_COOKIE},
};
use http_body_util::{BodyExt, Full};

use crate::{
    client::{Hyper, hyper},
    world::REDIRECT,
};

pub(crate) struct Browser {
    http: Hyper,
    cookies: HashMap<String, String>,
}

impl Browser {
    pub(crate) fn new() -> Browser {
        Browser { http: hyper(), cookies: HashMap::new() }
    }

    /// Goes where the app sends it, and returns the URL with which it comes back.
    pub(crate) async fn visit(&mut self, url: &Uri) -> String {
        let (origin, mut next) = (format!("http://{}", url.authority().unwrap()), url.to_string());
        for _ in 0..10 {
            let cookies: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let request = Request::get(&next).header(COOKIE, cookies.join("; ")).body(Full::<Bytes>::default()).unwrap();
            let answer = self.http.request(request).await.unwrap();
            for cookie in answer.headers().get_all(SET_COOKIE) {
                let (name, value) = cookie.to_str().unwrap().split(';').next().unwrap().split_once('=').unwrap();
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
            next = match answer.headers().get(LOCATION) {
                Some(place) => place.to_str().unwrap().to_owned(),
                None => {
                    panic!("{next} answers {}: {:?}", answer.status(), answer.into_body().collect().await.unwrap().to_bytes())
                }
            };
            if next.starts_with(REDIRECT) {
                return next;
            }
            if next.starts_with('/') {
                next.insert_str(0, &origin);
            }
        }
        panic!("redirected in a circle, at last to {next}");
    }
}
