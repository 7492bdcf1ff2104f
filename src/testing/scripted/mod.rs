//! A server that misbehaves to order: [`ScriptedServer`].

mod connection;
mod reply;
mod request;
mod server;

pub use reply::ScriptedReply;
pub use request::ScriptedRequest;
pub use server::ScriptedServer;
