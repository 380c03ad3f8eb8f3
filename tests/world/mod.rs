//! A private miniature internet: a host, a cable, and everything that is at its other end.

mod attacker;
mod authority;
mod cgi;
mod dns;
mod dns_message;
mod faulty;
mod files;
mod http;
mod http2;
mod inside;
pub(crate) mod leaks;
mod meter;
mod net;
mod postgres;
mod proxy;
mod site;
mod sockets;
mod ssh;
mod tcp;
mod wire;
mod zone;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};

use rustls::ServerConfig;

pub(crate) use attacker::{Attacker, V4 as ATTACKER_V4, V6 as ATTACKER_V6};
pub(crate) use authority::{ServerCertificate, authority, only_root, other_authority, server_config};
pub(crate) use dns::{Behaviour, Dns, Transport};
pub(crate) use faulty::Fault;
pub(crate) use files::{Files, give_away};
pub(crate) use http::{Reply, Request};
pub(crate) use inside::HostSide;
pub(crate) use meter::Volume;
pub(crate) use proxy::Proxy;
pub(crate) use site::Site;
pub(crate) use ssh::SshServer;
pub(crate) use tcp::Heard;
pub(crate) use wire::Wire;
pub(crate) use zone::Zone;

use inside::Inside;

/// The resolver that the host is configured with.
pub(crate) const RESOLVER_V4: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 53);
/// The same resolver's other address.
pub(crate) const RESOLVER_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x53);

/// Where [`World::proxy`] listens.
pub(crate) const PROXY_URL: &str = "http://proxy.test:3128";

/// Addresses that swallow every packet.
pub(crate) const BLACK_HOLES: (Ipv4Addr, Ipv6Addr) = net::BLACK_HOLES;

const HTTP: u16 = 80;
const HTTPS: u16 = 443;
const FIRST_SITE: u8 = 60;

static WORLDS: AtomicU32 = AtomicU32::new(1);

pub(crate) struct World {
    number: u32,
    files: Files,
    zone: Arc<Zone>,
    dns: Dns,
    attacker: Attacker,
    wire: Wire,
    host: HostSide,
    next_site: AtomicU8,
    mounts_at_first: Vec<String>,
    /// The last to go: its thread holds the internet open.
    inside: Inside,
}

impl World {
    pub(crate) fn new() -> Self {
        let number = WORLDS.fetch_add(1, Ordering::Relaxed);
        let files = Files::make(number).unwrap();
        let (inside, host) = Inside::start(number, files.clone()).unwrap_or_else(|error| {
            panic!("the miniature internet cannot be made: {error}");
        });
        let zone = Arc::new(Zone::default());
        zone.address("evil.test", ATTACKER_V4).address("evil.test", ATTACKER_V6);
        zone.address("*.evil.test", ATTACKER_V4).address("*.evil.test", ATTACKER_V6);
        let dns = Dns::new(zone.clone());
        let attacker = Attacker::new(dns.clone());
        let (resolver, trap) = (dns.clone(), attacker.clone());
        let wire = inside
            .call(async move {
                for address in resolver_addresses() {
                    resolver.listen(address)?;
                }
                trap.listen()?;
                Wire::tap(net::CABLE)
            })
            .unwrap();
        let mounts_at_first = inside.mounts();
        let next_site = AtomicU8::new(FIRST_SITE);
        Self { number, files, zone, dns, attacker, wire, host, next_site, mounts_at_first, inside }
    }

    /// A site of this name at addresses of its own, in the resolver's zone.
    pub(crate) fn site(&self, name: &str) -> Site {
        let site = self.site_without_name(name, false);
        self.zone.address(name, site.v4).address(name, site.v6);
        site
    }

    /// The same, but each connection ends after one request.
    pub(crate) fn site_of_short_connections(&self, name: &str) -> Site {
        let site = self.site_without_name(name, true);
        self.zone.address(name, site.v4).address(name, site.v6);
        site
    }

    /// A site that speaks HTTP/2 as well.
    pub(crate) fn site_of_http2(&self, name: &str) -> Site {
        let site = self.site_with(name, false, authority::http2_config(name));
        self.zone.address(name, site.v4).address(name, site.v6);
        site
    }

    /// A site that careful clients turn away from.
    pub(crate) fn site_with_certificate(&self, name: &str, certificate: ServerCertificate) -> Site {
        let site = self.site_with(name, false, authority::faulty_config(name, certificate));
        self.zone.address(name, site.v4).address(name, site.v6);
        site
    }

    /// A site that wants certificates of its clients.
    pub(crate) fn site_for_known_clients(&self, name: &str) -> Site {
        let site = self.site_with(name, false, authority::closed_config(name));
        self.zone.address(name, site.v4).address(name, site.v6);
        site
    }

    /// A site that the resolver does not know.
    pub(crate) fn site_without_name(&self, name: &str, one_request_each: bool) -> Site {
        self.site_with(name, one_request_each, server_config(name))
    }

    fn site_with(&self, name: &str, one_request_each: bool, tls: Arc<ServerConfig>) -> Site {
        let (v4, v6) = self.new_addresses();
        let site = Site::new(name, v4, v6, one_request_each);
        let opened = site.clone();
        self.inside
            .call(async move {
                opened.listen(HTTP, None)?;
                opened.listen(HTTPS, Some(&tls))
            })
            .unwrap();
        site
    }

    /// Opens a further port of a site, with or without TLS.
    pub(crate) fn open_port(&self, site: &Site, port: u16, tls: bool) {
        let (opened, tls) = (site.clone(), tls.then(|| server_config(&site.name)));
        self.inside.call(async move { opened.listen(port, tls.as_ref()) }).unwrap();
    }

    /// A TCP server that sends `banner` first and then echoes, at addresses of its own, by this name.
    pub(crate) fn tcp_echo(&self, name: &str, port: u16, banner: &'static [u8]) -> (Heard, Ipv4Addr) {
        let (v4, v6) = self.new_addresses();
        self.zone.address(name, v4).address(name, v6);
        let addresses = [v4.into(), v6.into()];
        let heard = self.inside.call(async move { tcp::serve_tcp(addresses, port, banner) }).unwrap();
        (heard, v4)
    }

    /// A TCP server with a fault, at addresses of its own, by this name.
    pub(crate) fn faulty(&self, name: &str, port: u16, fault: Fault) {
        let (v4, v6) = self.new_addresses();
        self.zone.address(name, v4).address(name, v6);
        for address in [IpAddr::from(v4), v6.into()] {
            let at = SocketAddr::new(address, port);
            self.inside.call(async move { faulty::serve(at, fault) }).unwrap();
        }
    }

    /// A UDP server that echoes, at an IPv4 address of its own, by this name.
    pub(crate) fn udp_echo(&self, name: &str, port: u16) -> (Heard, Ipv4Addr) {
        let (v4, _) = self.new_addresses();
        self.zone.address(name, v4);
        (self.udp_echo_at(v4, port), v4)
    }

    /// The same at an address that is there already.
    pub(crate) fn udp_echo_at(&self, address: Ipv4Addr, port: u16) -> Heard {
        self.inside.call(async move { tcp::serve_udp(SocketAddr::from((address, port))) }).unwrap()
    }

    /// The same at an IPv6 address.
    pub(crate) fn udp_echo_v6(&self, name: &str, port: u16) -> Heard {
        let (_, v6) = self.new_addresses();
        self.zone.address(name, v6);
        self.inside.call(async move { tcp::serve_udp(SocketAddr::from((v6, port))) }).unwrap()
    }

    /// The proxy at `PROXY_URL`, which knows no host yet.
    pub(crate) fn proxy(&self) -> Proxy {
        let (v4, _) = self.new_addresses();
        self.zone.address("proxy.test", v4);
        let proxy = Proxy::default();
        let opened = proxy.clone();
        self.inside.call(async move { opened.listen(SocketAddr::from((v4, 3128))) }).unwrap();
        proxy
    }

    /// A real ssh server on port 22, by this name, for the user `runner`.
    pub(crate) fn ssh_server(&self, name: &str) -> SshServer {
        let (v4, _) = self.new_addresses();
        self.zone.address(name, v4);
        let server = SshServer::furnish(&self.files.shared().join(name));
        let serving = server.clone();
        self.inside.call(async move { serving.listen(v4.into()) }).unwrap();
        server
    }

    /// A real PostgreSQL server on port 5432, by this name, that trusts the user `runner`.
    pub(crate) fn postgres(&self, name: &str) {
        let (v4, _) = self.new_addresses();
        self.zone.address(name, v4);
        let directory = self.files.shared().join(name);
        self.inside.call(async move { postgres::start(&directory, v4).await }).unwrap();
    }

    /// A second resolver, at another address, with a zone of the caller's.
    pub(crate) fn resolver(&self, address: impl Into<IpAddr>, zone: Arc<Zone>) -> Dns {
        let (dns, address) = (Dns::new(zone), address.into());
        let opened = dns.clone();
        self.inside.call(async move { opened.listen(address) }).unwrap();
        dns
    }

    /// Addresses that no server has yet, one of each family.
    pub(crate) fn new_addresses(&self) -> (Ipv4Addr, Ipv6Addr) {
        zone::server_addresses(self.next_site.fetch_add(1, Ordering::Relaxed))
    }

    /// Takes the host's IPv4 address and route away, and gives it the resolver's IPv6 address.
    pub(crate) fn without_v4(&self) -> &Self {
        self.host.configure(net::WITHOUT_V4);
        self.files.set_resolv_conf(&format!("nameserver {RESOLVER_V6}\n"));
        self
    }

    pub(crate) fn inside(&self) -> &Inside {
        &self.inside
    }

    pub(crate) fn zone(&self) -> &Zone {
        &self.zone
    }

    pub(crate) fn dns(&self) -> &Dns {
        &self.dns
    }

    pub(crate) fn attacker(&self) -> &Attacker {
        &self.attacker
    }

    pub(crate) fn wire(&self) -> &Wire {
        &self.wire
    }

    pub(crate) fn host(&self) -> &HostSide {
        &self.host
    }

    pub(crate) fn files(&self) -> &Files {
        &self.files
    }

    /// The value of the environment variable that marks everything started in this world.
    pub(crate) fn marker(&self) -> String {
        format!("{}-{}", std::process::id(), self.number)
    }

    /// Not a packet to, not a connection at, any address that is the attacker's, nor a question about its names.
    #[track_caller]
    pub(crate) fn assert_attacker_saw_nothing(&self) {
        let seen = self.attacker_saw();
        assert!(seen.is_empty(), "the attacker saw:\n{}", seen.join("\n"));
    }

    pub(crate) fn attacker_saw(&self) -> Vec<String> {
        let packets = self.wire.packets();
        let to_attacker = packets.iter().filter(|packet| packet.destination().is_some_and(net::is_attackers));
        let mut seen: Vec<String> = to_attacker.map(|packet| format!("a packet {packet}")).collect();
        seen.extend(self.attacker.contacts().iter().map(|contact| format!("{contact:?}")));
        let asked = self.dns.asked();
        let about_evil = asked.iter().filter(|asked| asked.question.name.contains("evil"));
        seen.extend(about_evil.map(|asked| format!("{asked:?}")));
        seen
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Err(error) = self.files.remove() {
            eprintln!("files of world {} stay: {error}", self.number);
        }
    }
}

fn resolver_addresses() -> [IpAddr; 2] {
    [RESOLVER_V4.into(), RESOLVER_V6.into()]
}
