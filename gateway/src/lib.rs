//! The gateway of cijail-net: the only way out of a job's network namespace.

pub mod app;
pub mod audit;
mod causes;
pub mod cli;
pub mod connection;
pub mod counters;
pub mod demo;
pub mod exit;
pub mod frame;
pub mod intercept;
pub mod learn;
pub mod listener;
pub mod live;
mod packet;
pub mod rego;
pub mod relay;
pub mod report;
pub mod schema;
mod scratch;
pub mod sensor;
pub mod sniff;
mod stderr;
pub mod trust;
mod turn;
pub mod upstream;
pub mod who;
