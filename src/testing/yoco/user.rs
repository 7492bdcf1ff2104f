use std::io;

use serde_json::{Map, Value, json};

use crate::testing::random;

/// A Yoco merchant who logs in.
#[derive(Clone)]
pub(super) struct User {
    pub(super) id: String,
    name: String,
    email: String,
    business: String,
}

impl User {
    pub(super) fn new() -> io::Result<User> {
        let id = random::hex::<12>()?;
        Ok(User {
            name: format!("Merchant {}", &id[..4]),
            email: format!("{}@merchant.example", &id[..4]),
            business: random::hex::<12>()?,
            id,
        })
    }

    /// The claims of the page's table.
    pub(super) fn claims(&self) -> Map<String, Value> {
        let claims = json!({
            "sub": self.id,
            "user_id": self.id,
            "user_name": self.name,
            "user_email": self.email,
            "default_business_id": self.business,
            "business_ids": [self.business],
            "authorized_business_id": self.business,
        });
        match claims {
            Value::Object(claims) => claims,
            _ => Map::new(),
        }
    }
}
