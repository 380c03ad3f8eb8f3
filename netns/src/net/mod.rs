//! The two network namespaces of a run, the link between them, and the sockets in the gateway's.

mod datagram;
mod gateway_side;
mod job_side;
mod links;
mod namespace;
mod netlink;
mod nflog;
mod packet_rules;
mod plan;
mod proof;
mod raw;
mod setup;
mod sockets;
pub(crate) mod trial;
mod world;

pub use datagram::{CapturedDatagram, DatagramSocket};
pub(crate) use namespace::enter_network;
pub use nflog::{DropLog, DropRecord};
pub(crate) use plan::JOB_LINK;
pub use plan::{
    GATEWAY_V4, GATEWAY_V6, JOB_V4, JOB_V6, PROBE_NAME, PROBE_V4, PROBE_V6, is_gateway, is_probe,
};
pub use proof::Attempt;
pub(crate) use proof::{is_denial, question};
pub use raw::RawSender;
pub use setup::{Building, Family, LoopbackListener, Network, NetworkRequest, start};
pub use world::{FrameRecorder, WORLD_GATEWAY, WORLD_HOST, World};
