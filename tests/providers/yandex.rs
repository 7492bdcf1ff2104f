//! Yandex's page.

use http::StatusCode;
use tower::Layer;
use tower_token::{
    ErrorKind, OAuthHeaderLayer, TokenError, TokenHandle,
    provider::yandex::{ErrorCode, Yandex, authorize_url},
    testing::{ApiOutcome, Fault, ScriptedReply, ScriptedServer, YandexEmulator},
};

use crate::{
    client::{Client, hyper},
    page::{NotOurs, Row, hold, row},
};

#[tokio::test]
async fn the_page() {
    hold([requirements(), login(), test_call(), lifetime(), troubleshooting()].into_iter().flatten().collect(), NOT_OURS).await;
}

/// What a person gets who opens the link and logs in, as the address of the page that they see then.
fn address(yandex: &YandexEmulator) -> String {
    let link = authorize_url(&yandex.client_id()).unwrap().to_string();
    yandex.authorize(&link.replace("https://oauth.yandex.com/authorize", &yandex.authorization_url())).unwrap()
}

fn source(yandex: &YandexEmulator) -> Yandex {
    Yandex::new(address(yandex)).unwrap().base_url(yandex.base_url()).unwrap()
}

fn client(source: Yandex) -> Client {
    let origins = source.origins();
    let tokens = TokenHandle::new(source);
    Client::over(OAuthHeaderLayer::new(origins, tokens.clone()).layer(hyper()), tokens)
}

fn test_url(yandex: &YandexEmulator) -> String {
    format!("{}/api/v1/test", yandex.base_url())
}

/// Before the numbered steps.
fn requirements() -> Vec<Row> {
    vec![
        row(
            [
                "To work with the Track & Trace API, you need an OAuth token.",
                "To start working with the Track & Trace API, you must first get an OAuth token",
            ],
            async {
                let yandex = YandexEmulator::start().await.unwrap();
                assert_eq!(client(source(&yandex)).get(&test_url(&yandex)).await.status, StatusCode::OK);
                let bare = Client::over(hyper(), TokenHandle::new(source(&yandex)));
                assert_eq!(bare.get(&test_url(&yandex)).await.status, StatusCode::UNAUTHORIZED);
            },
        ),
        row(["The token must be created for a user who's an administrator in the company."], async {
            let yandex = YandexEmulator::start().await.unwrap();
            yandex.log_in_as_administrator(false);
            let source = source(&yandex);
            assert_eq!(source.check().await.unwrap_err().kind(), ErrorKind::Refused);
            // Handed back as it is: no other token would help.
            let client = client(source);
            let answer = client.get(&test_url(&yandex)).await;
            assert_eq!((answer.status, yandex.api().calls()), (StatusCode::FORBIDDEN, 2));
            assert_eq!(client.tokens.status().failures(), 0);
        }),
        row(["The token mustn't be revoked."], no_longer_good(YandexEmulator::revoke_all)),
    ]
}

/// "8. Get an OAuth token."
fn login() -> Vec<Row> {
    vec![
        row(
            [
                "https://oauth.yandex.com/authorize?response_type=token&client_id=<ClientID-of-your-app>",
                "You'll need the app ID from the ClientID field",
            ],
            async {
                let link = authorize_url("<ClientID-of-your-app>").unwrap().to_string();
                assert_eq!(link, "https://oauth.yandex.com/authorize?response_type=token&client_id=%3CClientID-of-your-app%3E");
                let yandex = YandexEmulator::start().await.unwrap();
                assert!(
                    yandex.authorize(&format!("{}?response_type=token&client_id=other", yandex.authorization_url())).is_err()
                );
                assert!(address(&yandex).contains("#access_token="));
            },
        ),
        row(["In the Redirect URI field, enter this URL: https://oauth.yandex.com/verification_code."], async {
            let yandex = YandexEmulator::start().await.unwrap();
            assert!(address(&yandex).starts_with("https://oauth.yandex.com/verification_code#"));
        }),
        row(["Copy the string that appears on the screen: this is your OAuth token."], async {
            let yandex = YandexEmulator::start().await.unwrap();
            let token = yandex.mint_token().unwrap();
            let source = Yandex::new(format!(" {token}\r\n")).unwrap().base_url(yandex.base_url()).unwrap();
            source.check().await.unwrap();
            assert_eq!(yandex.tokens_presented(), 1);
        }),
        row(["A fragment's token_type is bearer, and the scheme is OAuth all the same."], async {
            let yandex = YandexEmulator::start().await.unwrap();
            assert!(address(&yandex).contains("token_type=bearer"));
            let token = TokenHandle::new(source(&yandex)).token().await.unwrap();
            client(source(&yandex)).get(&test_url(&yandex)).await;
            let sent = yandex.calls().pop().unwrap();
            assert_eq!((sent.authorization_values, sent.outcome), (1, ApiOutcome::Served));
            // Another scheme is refused.
            let bearer = tower_token::BearerAuthLayer::new(source(&yandex).origins(), source(&yandex)).layer(hyper());
            let bearer = Client::over(bearer, TokenHandle::new(source(&yandex)));
            assert_eq!(bearer.get(&test_url(&yandex)).await.status, StatusCode::UNAUTHORIZED);
            assert!(!token.expose_secret().is_empty());
        }),
    ]
}

/// "Make sure the token works."
fn test_call() -> Vec<Row> {
    vec![
        row(
            [
                "Make sure the token works.",
                "curl -H \"Authorization: OAuth <your-OAuth-token>\" -X GET https://courier.yandex.ru/api/v1/test",
            ],
            async {
                let origin = "https://courier.yandex.ru".parse::<tower_token::Origins>().unwrap();
                assert_eq!(format!("{:?}", Yandex::new("t").unwrap().origins()), format!("{origin:?}"));
                let yandex = YandexEmulator::start().await.unwrap();
                source(&yandex).check().await.unwrap();
                let call = yandex.calls().pop().unwrap();
                assert_eq!((call.method.as_str(), call.path.as_str(), call.outcome), ("GET", "/api/v1/test", ApiOutcome::Served));
            },
        ),
        row(["The response should be: {\"message\":\"OK\"}."], async {
            let yandex = YandexEmulator::start().await.unwrap();
            let answer = client(source(&yandex)).get(&test_url(&yandex)).await;
            assert_eq!(&answer.body[..], br#"{"message":"OK"}"#);
            let checked = async |reply| {
                let server = ScriptedServer::start([reply]).await.unwrap();
                let source = Yandex::new("t").unwrap().base_url(server.base_url()).unwrap();
                source.check().await.map_err(|error| error.kind())
            };
            assert_eq!(checked(ScriptedReply::json(200, r#"{"message": "OK"}"#)).await, Ok(()));
            assert_eq!(checked(ScriptedReply::json(200, r#"{"message":"NO"}"#)).await, Err(ErrorKind::Misconfigured));
            assert_eq!(checked(ScriptedReply::new(200, "<html>OK")).await, Err(ErrorKind::Misconfigured));
        }),
    ]
}

/// "Token lifetime".
fn lifetime() -> Vec<Row> {
    vec![
        row(["Token lifetime is not limited."], async {
            let yandex = YandexEmulator::start().await.unwrap();
            yandex.set_expires_in(Some(1));
            let client = client(source(&yandex));
            assert_eq!(client.tokens.token().await.unwrap().generation(), 1);
            assert_eq!(client.tokens.status().expires_in(), None);
        }),
        row(["It has been revoked."], no_longer_good(YandexEmulator::revoke_all)),
        row(["If your token was revoked, you need to get a new one."], async {
            let yandex = YandexEmulator::start().await.unwrap();
            let client = client(source(&yandex));
            assert_eq!(client.get(&test_url(&yandex)).await.status, StatusCode::OK);
            yandex.revoke_all();
            assert_eq!(client.get(&test_url(&yandex)).await.status, StatusCode::UNAUTHORIZED);
            client.tokens.replace_source_and_reject(source(&yandex));
            assert_eq!(client.get(&test_url(&yandex)).await.status, StatusCode::OK);
        }),
        row(
            ["The user changes the password to the account the token was issued to."],
            no_longer_good(YandexEmulator::change_password),
        ),
        row(
            ["The user of the account the token was issued to clicks Log out of all Yandex services."],
            no_longer_good(YandexEmulator::log_out_of_all_services),
        ),
        row(["An outage says nothing of the token."], async {
            let yandex = YandexEmulator::start().await.unwrap();
            let source = source(&yandex);
            yandex.api().inject(Fault::status(StatusCode::SERVICE_UNAVAILABLE).times(1));
            assert_eq!(source.check().await.unwrap_err().kind(), ErrorKind::Transient);
            source.check().await.unwrap();
        }),
    ]
}

/// Each 401 is handed back with a `Refused` beside it: no second sending, no loop.
async fn no_longer_good(happens: fn(&YandexEmulator)) {
    let yandex = YandexEmulator::start().await.unwrap();
    let source = source(&yandex);
    let client = client(source.clone());
    assert_eq!(client.get(&test_url(&yandex)).await.status, StatusCode::OK);
    happens(&yandex);
    for call in 1..=3 {
        let answer = client.get(&test_url(&yandex)).await;
        let error = answer.extensions.get::<TokenError>().unwrap();
        assert_eq!((answer.status, error.kind()), (StatusCode::UNAUTHORIZED, ErrorKind::Refused));
        assert_eq!(yandex.api().calls(), 1 + call);
    }
    let error = source.check().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert!(error.to_string().contains("a person must get a new one"));
}

/// "Troubleshooting".
fn troubleshooting() -> Vec<Row> {
    vec![
        row(
            [
                "The error occurs when receiving an OAuth token (Step 8.1) if there are restrictions for your account.",
                "In this case, contact support via the form.",
                "Support will check whether the restrictions can be removed and write back.",
            ],
            async {
                let yandex = YandexEmulator::start().await.unwrap();
                yandex.restrict_account(true);
                let error = Yandex::new(address(&yandex)).unwrap_err();
                assert_eq!(
                    (error.kind(), ErrorCode::of_error(&error)),
                    (ErrorKind::Refused, Some(ErrorCode::UnauthorizedClient))
                );
                assert!(error.to_string().contains("support can remove"), "{error}");
            },
        ),
        row(["A user who says no."], async {
            let yandex = YandexEmulator::start().await.unwrap();
            for (code, expected) in [("access_denied", ErrorCode::AccessDenied), ("odd", ErrorCode::Other("odd".to_owned()))] {
                yandex.deny(Some(code));
                let error = Yandex::new(address(&yandex)).unwrap_err();
                assert_eq!((error.kind(), ErrorCode::of_error(&error)), (ErrorKind::Refused, Some(expected)));
            }
        }),
    ]
}

const NOT_OURS: &NotOurs = &[
    ("If necessary, create a Yandex ID account.", BROWSER),
    ("When registering, use a corporate or any other email address on Yandex Mail.", BROWSER),
    ("Log in to Yandex with the account you will use to upload data.", BROWSER),
    ("Open the Create app page in Oauth for Yandex ID.", BROWSER),
    ("You can gain access to advanced features by signing in with your gosuslugi.ru account.", BROWSER),
    ("Fill in the Service name field. You can enter any name. It will appear in your app list in OAuth for Yandex ID.", BROWSER),
    ("You don't need to attach the service icon.", BROWSER),
    ("In the Email address field, enter your email address.", BROWSER),
    ("Select Web services.", BROWSER),
    ("In the Permission name field, enter courier:logistician.", "the app has it, and the link does not name it"),
    ("Select Logistics Coordinator role - Load courier and order information, export results.", BROWSER),
    ("Click Continue.", BROWSER),
    ("Please make sure everything is correct. Click Everything is correct, create the app.", BROWSER),
    ("Make sure the service prompts you to log in under the correct username.", BROWSER),
    ("Click Log in as .", BROWSER),
    ("For more information about OAuth, see OAuth implementation in Yandex.", "another page"),
    ("For more information about why a token may be revoked, see Revoke a token.", "another page"),
    (
        "Before filling out the form, make sure that you're logged in under the account for which there are restrictions. Otherwise, the form won't open.",
        BROWSER,
    ),
];

const BROWSER: &str = "a person does, in the browser";
