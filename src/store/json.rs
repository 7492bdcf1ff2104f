//! A record as bytes.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

use super::{
    StoreError,
    record::{Fingerprint, InFlight, Record},
};
use crate::token::{AccessToken, RefreshToken};

/// Grows when an older crate would misunderstand a record, or drop a part of it.
const VERSION: u32 = 1;

#[derive(Deserialize)]
struct Header {
    version: u32,
}

/// Times are milliseconds since 1970.
#[derive(Serialize, Deserialize)]
struct Layout {
    version: u32,
    revision: u64,
    #[serde(default)]
    ended: bool,
    refresh_token: Option<Secret>,
    refresh_token_expires_at: Option<u64>,
    access_token: Option<Secret>,
    access_token_expires_at: Option<u64>,
    #[serde(default)]
    scopes: Vec<String>,
    subject: Option<String>,
    in_flight: Option<Note>,
}

#[derive(Serialize, Deserialize)]
struct Note {
    since: u64,
    tries: u32,
    fingerprint: [u8; 16],
}

/// Wiped also when the rest of the record turns out to be unreadable.
struct Secret(Zeroizing<String>);

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
        String::deserialize(deserializer).map(|secret| Secret(Zeroizing::new(secret)))
    }
}

pub(super) fn write(record: &Record) -> Zeroizing<Vec<u8>> {
    let secret = |text: &str| Secret(Zeroizing::new(text.to_owned()));
    let refresh = record.refresh.as_ref();
    let access = record.access.as_ref();
    let layout = Layout {
        version: VERSION,
        revision: record.revision,
        ended: record.ended,
        refresh_token: refresh.map(|token| secret(token.expose_secret())),
        refresh_token_expires_at: refresh.and_then(RefreshToken::expiry).map(milliseconds),
        access_token: access.map(|token| secret(token.expose_secret())),
        access_token_expires_at: access.and_then(AccessToken::expiry).map(milliseconds),
        scopes: access.map_or_else(Vec::new, |token| token.granted_scopes().to_vec()),
        subject: record.subject.clone(),
        in_flight: record.in_flight.as_ref().map(|note| Note {
            since: milliseconds(note.since),
            tries: note.tries,
            fingerprint: note.fingerprint.0,
        }),
    };
    // Room for all of it, each byte of a text escaped: a buffer that grows leaves copies behind.
    let texts = [&layout.refresh_token, &layout.access_token].into_iter().flatten().map(|text| text.0.len());
    let texts = texts.chain(layout.scopes.iter().map(|scope| scope.len() + 1)).chain(layout.subject.iter().map(String::len));
    let room = 512 + 6 * texts.sum::<usize>();
    let mut bytes = Zeroizing::new(Vec::with_capacity(room));
    // Neither these types nor a `Vec` can fail here.
    let _written = serde_json::to_writer(&mut *bytes, &layout).is_ok();
    bytes
}

pub(super) fn read(bytes: &[u8]) -> Result<Record, StoreError> {
    // The text of serde's errors quotes what it has read, so it goes no further.
    let unreadable = |_| StoreError::unreadable("it is not the JSON of a record");
    let header: Header = serde_json::from_slice(bytes).map_err(unreadable)?;
    if header.version != VERSION {
        return Err(StoreError::unreadable(format!("it is a record of version {}, not {VERSION}", header.version)));
    }
    let layout: Layout = serde_json::from_slice(bytes).map_err(unreadable)?;
    let refresh = match layout.refresh_token {
        Some(mut secret) => {
            let token = RefreshToken::new(std::mem::take(&mut *secret.0));
            Some(match layout.refresh_token_expires_at {
                Some(at) => token.expires_at(time(at)?),
                None => token,
            })
        }
        None => None,
    };
    let access = match layout.access_token {
        Some(mut secret) => {
            // The text of this error names an offset and a class of bytes.
            let token = AccessToken::new(std::mem::take(&mut *secret.0)).map_err(StoreError::unreadable)?.scopes(layout.scopes);
            Some(match layout.access_token_expires_at {
                Some(at) => token.expires_at(time(at)?),
                None => token,
            })
        }
        None => None,
    };
    let in_flight = match layout.in_flight {
        Some(note) => Some(InFlight { since: time(note.since)?, tries: note.tries, fingerprint: Fingerprint(note.fingerprint) }),
        None => None,
    };
    Ok(Record { revision: layout.revision, refresh, access, subject: layout.subject, in_flight, ended: layout.ended })
}

fn milliseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn time(milliseconds: u64) -> Result<SystemTime, StoreError> {
    UNIX_EPOCH
        .checked_add(Duration::from_millis(milliseconds))
        .ok_or_else(|| StoreError::unreadable("it holds a time that no clock shows"))
}

#[cfg(test)]
mod tests {
    use std::error::Error;

    use proptest::prelude::*;

    use super::*;
    use crate::store::StoreErrorKind;

    fn at(milliseconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(milliseconds)
    }

    fn full(secret: &str) -> Record {
        let token = RefreshToken::new(secret).expires_at(at(1_800_000_000_123));
        Record {
            revision: 7,
            in_flight: Some(InFlight::new(&token, at(1_700_000_000_456))),
            refresh: Some(token),
            access: Some(AccessToken::new("a-1").unwrap().expires_at(at(1_700_000_600_000)).scopes(["a", "b c"])),
            subject: Some("u-1".to_owned()),
            ended: false,
        }
    }

    /// The format is a promise to the stores that are out there.
    #[test]
    fn the_format() {
        let mut record = full("r-1");
        record.in_flight.as_mut().unwrap().fingerprint = Fingerprint([1; 16]);
        let text = r#"{"version":1,"revision":7,"ended":false,"refresh_token":"r-1","refresh_token_expires_at":1800000000123,"access_token":"a-1","access_token_expires_at":1700000600000,"scopes":["a","b c"],"subject":"u-1","in_flight":{"since":1700000000456,"tries":1,"fingerprint":[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]}}"#;
        assert_eq!(std::str::from_utf8(&record.to_json()).unwrap(), text);
        let least = Record::from_json(br#"{"version":1,"revision":2,"later":"x"}"#).unwrap();
        assert_eq!((least.revision(), least.is_ended(), least.refresh_token(), least.subject()), (2, false, None, None));
    }

    /// F6, F18: what is not a record of this version is an error that quotes nothing.
    #[test]
    fn what_is_no_record_is_unreadable() {
        let whole = full("CANARY").to_json();
        let cut = (0..whole.len()).map(|end| whole[..end].to_vec());
        let others = [
            r#"{"version":2,"revision":1,"refresh_token":"CANARY"}"#,
            r#"{"version":"CANARY","revision":1}"#,
            r#"{"version":1,"revision":"CANARY"}"#,
            r#"{"version":1,"revision":1,"access_token":"CANARY CANARY"}"#,
            r#"["CANARY"]"#,
            "null",
        ];
        for bytes in cut.chain(others.iter().map(|text| text.as_bytes().to_vec())) {
            let error = Record::from_json(&bytes).unwrap_err();
            assert_eq!(error.kind(), StoreErrorKind::Unreadable);
            assert!(!error.source().unwrap().to_string().contains("CANARY"), "{error:?}");
        }
    }

    /// S9: the buffer never grows, so that no copy stays behind.
    #[test]
    fn there_is_room_for_the_worst() {
        let record = full(&"\u{1}".repeat(5000));
        let bytes = record.to_json();
        assert!(bytes.capacity() >= 512 + 6 * 5000 && bytes.len() > 6 * 5000, "as it was made, and full of escapes");
        assert!(bytes.len() <= 512 + 6 * (5000 + 3 + 6 + 3));
        let token = RefreshToken::new("").expires_at(UNIX_EPOCH + Duration::from_millis(1 << 60));
        let mut longest = Record { revision: u64::MAX, ended: true, ..Record::new(token.clone()) };
        longest.access = Some(AccessToken::new("a").unwrap().expires_at(UNIX_EPOCH + Duration::from_millis(1 << 60)));
        longest.in_flight = Some(InFlight { tries: u32::MAX, fingerprint: Fingerprint([255; 16]), since: at(1 << 60) });
        assert!(longest.to_json().len() <= 512, "{}", longest.to_json().len());
    }

    proptest! {
        /// Whatever is written is read again, whole.
        #[test]
        fn a_record_comes_back(
            secret in ".*", subject in proptest::option::of(".*"), access in proptest::option::of("[!-~]{1,20}"), revision: u64, ended: bool,
            times in proptest::array::uniform3(proptest::option::of(0u64..1 << 45)),
            scopes in proptest::collection::vec(".*", 0..3),
        ) {
            let mut refresh = RefreshToken::new(secret);
            if let Some(time) = times[0] {
                refresh = refresh.expires_at(at(time));
            }
            let access = access.map(|secret| {
                let token = AccessToken::new(secret).unwrap().scopes(scopes);
                match times[1] {
                    Some(time) => token.expires_at(at(time)),
                    None => token,
                }
            });
            let in_flight = times[2].map(|time| InFlight::new(&refresh, at(time)));
            let record = Record { revision, refresh: Some(refresh), access, subject, in_flight, ended };
            let back = Record::from_json(&record.to_json()).unwrap();
            prop_assert_eq!((back.revision, back.ended), (record.revision, record.ended));
            prop_assert_eq!(&back.refresh, &record.refresh);
            prop_assert_eq!(&back.in_flight, &record.in_flight);
            prop_assert_eq!(&back.subject, &record.subject);
            let parts = |token: &AccessToken| (token.expose_secret().to_owned(), token.expiry(), token.granted_scopes().to_vec());
            prop_assert_eq!(back.access.as_ref().map(parts), record.access.as_ref().map(parts));
        }

        /// Total.
        #[test]
        fn any_bytes_are_a_record_or_an_error(bytes: Vec<u8>) {
            let _any = Record::from_json(&bytes).is_ok();
        }
    }
}
