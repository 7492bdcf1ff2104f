//! Where does a refresh token survive? In a [`TokenStore`], of which [`MemoryStore`] is the simplest.
//!
//! A refresh token that rotates is good for one use: the server's answer to it holds the next one, and presenting the old one
//! again may end the login. So whoever uses it needs a place that gives three things: a lock, so that one at a time uses it; a
//! record that is there again after a crash; and a revision, so that a holder that has lost the lock cannot overwrite a newer
//! record with an older one.
//!
//! One store is one login. Whoever keeps many in a database makes a store per login, with the row's key inside.
//!
//! # Examples
//!
//! A store of your own, over any place that holds bytes. (Where several processes share that place, the lock has to be one
//! that they share, too.)
//!
//! ```
//! use std::sync::{Arc, Mutex};
//!
//! use tower_token::{
//!     RefreshToken,
//!     store::{Record, StoreError, TokenStore},
//! };
//!
//! struct Row {
//!     bytes: Mutex<Option<Vec<u8>>>,
//!     lock: Arc<tokio::sync::Mutex<()>>,
//! }
//!
//! impl TokenStore for Row {
//!     type Guard = tokio::sync::OwnedMutexGuard<()>;
//!
//!     async fn read(&self) -> Result<Option<Record>, StoreError> {
//!         let bytes = self.bytes.lock().map_err(|_| StoreError::failed("poisoned"))?;
//!         bytes.as_deref().map(Record::from_json).transpose()
//!     }
//!
//!     async fn lock(&self) -> Result<Self::Guard, StoreError> {
//!         Ok(self.lock.clone().lock_owned().await)
//!     }
//!
//!     async fn compare_and_set(&self, _lock: &mut Self::Guard, expected: u64, record: &Record) -> Result<(), StoreError> {
//!         let mut bytes = self.bytes.lock().map_err(|_| StoreError::failed("poisoned"))?;
//!         let there = bytes.as_deref().map(Record::from_json).transpose()?.map_or(0, |record| record.revision());
//!         if there != expected {
//!             return Err(StoreError::conflict());
//!         }
//!         *bytes = Some(record.to_json().to_vec());
//!         Ok(())
//!     }
//! }
//!
//! # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
//! let row = Row { bytes: Mutex::default(), lock: Arc::default() };
//! let mut lock = row.lock().await?;
//! row.compare_and_set(&mut lock, 0, &Record::new(RefreshToken::new("r-1"))).await?;
//! let record = row.read().await?.expect("it was written just now");
//! assert_eq!(record.refresh_token().map(|token| token.expose_secret()), Some("r-1"));
//! # Ok::<(), StoreError>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod error;
mod json;
mod memory;
mod record;
mod token_store;

pub use error::{StoreError, StoreErrorKind};
pub use memory::{MemoryGuard, MemoryStore};
pub use record::Record;
pub(crate) use record::{Fingerprint, InFlight};
pub use token_store::TokenStore;
