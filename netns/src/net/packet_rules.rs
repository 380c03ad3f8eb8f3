//! The nftables table of the gateway namespace: TCP and UDP go to the gateway's sockets, the rest
//! is logged and dropped.
//!
//! ```text
//! table inet cijail {
//!   chain capture { type filter hook prerouting priority mangle; policy drop;
//!     iif lo accept
//!     meta pkttype multicast log group 1 snaplen 256 drop
//!     meta nfproto ipv4 udp dport 53 tproxy ip to :53 accept
//!     meta nfproto ipv4 meta l4proto udp tproxy ip to :2 accept
//!     meta nfproto ipv4 meta l4proto tcp tproxy ip to :1 accept
//!     (the same three for ipv6)
//!     log group 1 snaplen 256 }
//!   chain forward { type filter hook forward priority filter; policy drop; }
//! }
//! ```

use netlink_packet_core::{DefaultNla, NLM_F_APPEND, NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_netfilter::nftables::{
    ChainAttribute, ChainMessage, Cmp, DataAttribute, ExpressionAttribute, Expressions, Hook, HookNumber,
    Immediate, InetHookNumber, ListAttribute, Meta, MetaKey, NfTablesMessage, Operator, Payload, Register,
    RuleAttribute, RuleMessage, TableAttribute, TableMessage, Verdict, VerdictAttribute,
};
use netlink_packet_netfilter::none::ControlMessage;
use netlink_packet_netfilter::{NetfilterHeader, NetfilterMessage, NetfilterProtoFamily};
use nix::sys::socket::SockProtocol;

use super::netlink::{Netlink, Refused};
use super::plan::{DNS_PORT, NFLOG_GROUP, TCP_PORT, UDP_PORT};
use super::setup::Family;

const TABLE: &str = "cijail";
const CAPTURE: &str = "capture";
const FORWARD: &str = "forward";
/// NF_IP_PRI_MANGLE (linux/netfilter_ipv4.h): before routing, as TPROXY needs.
const PRIORITY_MANGLE: i32 = -150;
/// NF_IP_PRI_FILTER.
const PRIORITY_FILTER: i32 = 0;
/// NF_DROP and NF_ACCEPT (linux/netfilter.h).
const NF_DROP: u32 = 0;
const NF_ACCEPT: u32 = 1;
/// NFNL_SUBSYS_NFTABLES, which the brackets of a transaction name.
const NFTABLES: u16 = 10;
/// NFT_PAYLOAD_TRANSPORT_HEADER (linux/netfilter/nf_tables.h).
const TRANSPORT_HEADER: u32 = 2;
/// Octets of a dropped packet that are copied to the log: headers and a little more.
pub(super) const LOG_SNAPLEN: u32 = 256;
/// Frames for a group (linux/if_packet.h).
const PACKET_MULTICAST: u8 = 2;
/// The index of `lo` in every network namespace.
const LOOPBACK_INDEX: u32 = 1;

pub(super) type Expression = ListAttribute<ExpressionAttribute>;

/// Installs the table in one transaction, in the calling thread's network namespace.
pub(super) fn install(family: Family) -> Result<(), Refused> {
    let mut rules = vec![accept_loopback(), drop_multicast()];
    rules.extend(capture(NetfilterProtoFamily::IPv4));
    if family == Family::Both {
        rules.extend(capture(NetfilterProtoFamily::IPv6));
    }
    rules.push(vec![log()]);
    install_rules(rules)
}

/// Installs the table with these rules in the chain that sees what comes from the job.
pub(super) fn install_rules(rules: Vec<Vec<Expression>>) -> Result<(), Refused> {
    let mut netlink = Netlink::open(SockProtocol::NetlinkNetFilter)
        .map_err(|source| Refused { what: "opening an nftables socket", source })?;
    netlink.add_silent(bracket(ControlMessage::BatchBegin));
    let table = TableMessage { attributes: vec![TableAttribute::Name(TABLE.to_owned())] };
    add(
        &mut netlink,
        "adding the nftables table",
        NLM_F_CREATE | NLM_F_EXCL,
        NfTablesMessage::NewTable(table),
    );
    add_chain(&mut netlink, CAPTURE, InetHookNumber::PreRouting, PRIORITY_MANGLE);
    add_chain(&mut netlink, FORWARD, InetHookNumber::Forward, PRIORITY_FILTER);
    for expressions in rules {
        let rule = RuleMessage {
            attributes: vec![
                RuleAttribute::Table(TABLE.to_owned()),
                RuleAttribute::Chain(CAPTURE.to_owned()),
                RuleAttribute::Expressions(expressions),
            ],
        };
        // Without NLM_F_APPEND a rule goes before those that are there.
        let flags = NLM_F_CREATE | NLM_F_APPEND;
        add(
            &mut netlink,
            "adding an nftables rule (TPROXY and NFLOG)",
            flags,
            NfTablesMessage::NewRule(rule),
        );
    }
    netlink.add_silent(bracket(ControlMessage::BatchEnd));
    netlink.commit::<NetfilterMessage>()
}

fn bracket(message: ControlMessage) -> NetfilterMessage {
    NetfilterMessage::new(NetfilterHeader::new(NetfilterProtoFamily::Unspec, 0, NFTABLES), message)
}

fn add(netlink: &mut Netlink, what: &'static str, flags: u16, message: NfTablesMessage) {
    let header = NetfilterHeader::new(NetfilterProtoFamily::Inet, 0, 0);
    netlink.add(what, flags, NetfilterMessage::new(header, message));
}

fn add_chain(netlink: &mut Netlink, name: &str, hook: InetHookNumber, priority: i32) {
    let chain = ChainMessage {
        attributes: vec![
            ChainAttribute::Table(TABLE.to_owned()),
            ChainAttribute::Name(name.to_owned()),
            ChainAttribute::Hook(vec![
                Hook::Number(HookNumber::Inet(hook)),
                Hook::Priority(u32::from_ne_bytes(priority.to_ne_bytes())),
            ]),
            ChainAttribute::Policy(NF_DROP),
            ChainAttribute::Type("filter".to_owned()),
        ],
    };
    add(netlink, "adding an nftables chain", NLM_F_CREATE | NLM_F_EXCL, NfTablesMessage::NewChain(chain));
}

fn accept_loopback() -> Vec<Expression> {
    vec![load(MetaKey::Iif), equals(LOOPBACK_INDEX.to_ne_bytes().to_vec()), accept()]
}

/// No route leads to a socket of ours, so it would be dropped after the rules and without a record.
fn drop_multicast() -> Vec<Expression> {
    vec![load(MetaKey::PacketType), equals(vec![PACKET_MULTICAST]), log(), drop_packet()]
}

/// DNS, other UDP and TCP of one family, each to the gateway's socket for it.
pub(super) fn capture(family: NetfilterProtoFamily) -> [Vec<Expression>; 3] {
    let prefix = |protocol: i32| {
        vec![
            load(MetaKey::Nfproto),
            equals(vec![u8::from(family)]),
            load(MetaKey::L4Proto),
            equals(vec![protocol as u8]),
        ]
    };
    let mut dns = prefix(libc::IPPROTO_UDP);
    dns.extend([load_destination_port(), equals(DNS_PORT.to_be_bytes().to_vec())]);
    dns.extend(tproxy(family, DNS_PORT));
    let mut udp = prefix(libc::IPPROTO_UDP);
    udp.extend(tproxy(family, UDP_PORT));
    let mut tcp = prefix(libc::IPPROTO_TCP);
    tcp.extend(tproxy(family, TCP_PORT));
    [dns, udp, tcp]
}

fn load(key: MetaKey) -> Expression {
    Expressions::Meta(vec![Meta::Key(key), Meta::DestinationRegister(Register::Reg1)]).into()
}

fn load_destination_port() -> Expression {
    Expressions::Payload(vec![
        Payload::DestinationRegister(Register::Reg1),
        Payload::Base(TRANSPORT_HEADER),
        Payload::Offset(2),
        Payload::Len(2),
    ])
    .into()
}

fn equals(value: Vec<u8>) -> Expression {
    Expressions::Cmp(vec![
        Cmp::SourceRegister(Register::Reg1),
        Cmp::Op(Operator::Equal),
        Cmp::Data(DataAttribute::Value(value)),
    ])
    .into()
}

/// The expression that the library lacks: family and port register (NFTA_TPROXY_FAMILY = 1,
/// NFTA_TPROXY_REG_PORT = 3 in linux/netfilter/nf_tables.h); without an address register the
/// packet keeps its destination.
fn tproxy(family: NetfilterProtoFamily, port: u16) -> [Expression; 3] {
    let load_port = Expressions::Immediate(vec![
        Immediate::DestinationRegister(Register::Reg1),
        Immediate::Data(DataAttribute::Value(port.to_be_bytes().to_vec())),
    ]);
    let redirect = Expressions::Other {
        expression_type: "tproxy".to_owned(),
        attributes: vec![
            DefaultNla::new(1, u32::from(u8::from(family)).to_be_bytes().to_vec()),
            DefaultNla::new(3, u32::from(Register::Reg1).to_be_bytes().to_vec()),
        ],
    };
    [load_port.into(), redirect.into(), accept()]
}

/// NFTA_LOG_GROUP = 1, NFTA_LOG_SNAPLEN = 3, NFTA_LOG_QTHRESHOLD = 4 (linux/netfilter/nf_tables.h).
pub(super) fn log() -> Expression {
    Expressions::Other {
        expression_type: "log".to_owned(),
        attributes: vec![
            DefaultNla::new(1, NFLOG_GROUP.to_be_bytes().to_vec()),
            DefaultNla::new(3, LOG_SNAPLEN.to_be_bytes().to_vec()),
            DefaultNla::new(4, 1u16.to_be_bytes().to_vec()),
        ],
    }
    .into()
}

fn accept() -> Expression {
    verdict(NF_ACCEPT)
}

fn drop_packet() -> Expression {
    verdict(NF_DROP)
}

fn verdict(code: u32) -> Expression {
    Expressions::Immediate(vec![
        Immediate::DestinationRegister(Register::Verdict),
        Immediate::Data(DataAttribute::Verdict(vec![VerdictAttribute::Code(Verdict::Other(code))])),
    ])
    .into()
}
