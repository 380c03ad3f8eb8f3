//! The two network namespaces of a world and the cable between them.

use std::fs::File;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::process::{Command, Stdio, id};

use nix::sched::{CloneFlags, setns, unshare};

/// Where benign servers live: a port without a server is closed. Every other address is the attacker's.
pub(crate) const SERVERS_V4: &str = "203.0.113.0/24";
pub(crate) const SERVERS_V6: &str = "2001:db8::/48";
/// A second benign block, for servers that share nothing with the first.
pub(crate) const OTHERS_V4: &str = "192.0.2.0/24";

/// The internet's end of the cable.
pub(crate) const CABLE: &str = "up0";

/// On loopback of the internet: where the attacker takes whatever is addressed to nobody else.
pub(crate) const TRAP_PORT: u16 = 61999;

/// Neighbours are given: a question of a namespace this young is lost, and IPv6 asks again after a second.
const HOST: &str = "\
link set lo up
link add eth0 address 02:00:00:00:00:02 type veth peer name up0 address 02:00:00:00:00:01 netns {internet}
address add 198.18.0.2/30 dev eth0
address add 2001:db8:18::2/64 dev eth0 nodad
link set eth0 up
neighbor add 198.18.0.1 lladdr 02:00:00:00:00:01 dev eth0 nud permanent
neighbor add 2001:db8:18::1 lladdr 02:00:00:00:00:01 dev eth0 nud permanent
route add default via 198.18.0.1
route add default via 2001:db8:18::1
";

const INTERNET: &str = "\
link set lo up
address add 198.18.0.1/30 dev up0
address add 2001:db8:18::1/64 dev up0 nodad
link set up0 up
neighbor add 198.18.0.2 lladdr 02:00:00:00:00:02 dev up0 nud permanent
neighbor add 2001:db8:18::2 lladdr 02:00:00:00:00:02 dev up0 nud permanent
route add local default dev lo table main
route add local ::/0 dev lo table main
";

/// What makes a host have IPv6 only; the route goes with the address.
pub(crate) const WITHOUT_V4: &str = "address del 198.18.0.2/30 dev eth0\n";

/// Addresses of the benign blocks that swallow every packet.
pub(crate) const BLACK_HOLES: (Ipv4Addr, Ipv6Addr) =
    (Ipv4Addr::new(203, 0, 113, 250), Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0xfa));

const TRAP: &str = "\
table inet trap {
  chain pre {
    type filter hook prerouting priority mangle; policy accept;
    iifname != \"up0\" accept
    ip daddr {hole4} drop
    ip6 daddr {hole6} drop
    ip daddr { {servers4}, {others4}, 198.18.0.0/30, 224.0.0.0/4, 255.255.255.255 } accept
    ip6 daddr { {servers6}, 2001:db8:18::/64, fe80::/10, ff00::/8 } accept
    meta nfproto ipv4 meta l4proto { tcp, udp } tproxy ip to 127.0.0.1:{port} accept
    meta nfproto ipv6 meta l4proto { tcp, udp } tproxy ip6 to [::1]:{port} accept
  }
}
";

/// Makes both namespaces and the cable; the calling thread is in the internet afterwards.
/// Returns the host's namespace.
pub(crate) fn make_and_enter_internet() -> io::Result<OwnedFd> {
    unshare(CloneFlags::CLONE_NEWNET)?;
    let internet = of_this_thread("net")?;
    unshare(CloneFlags::CLONE_NEWNET)?;
    let host = of_this_thread("net")?;
    let peer = format!("/proc/{}/fd/{}", id(), internet.as_raw_fd());
    configure(&HOST.replace("{internet}", &peer))?;
    setns(internet.as_fd(), CloneFlags::CLONE_NEWNET)?;
    configure(INTERNET)?;
    let trap = TRAP
        .replace("{servers4}", SERVERS_V4)
        .replace("{others4}", OTHERS_V4)
        .replace("{servers6}", SERVERS_V6)
        .replace("{hole4}", &BLACK_HOLES.0.to_string())
        .replace("{hole6}", &BLACK_HOLES.1.to_string())
        .replace("{port}", &TRAP_PORT.to_string());
    feed("nft", &["-f", "-"], &trap)?;
    Ok(host)
}

/// A namespace of the calling thread, held open.
pub(crate) fn of_this_thread(kind: &str) -> io::Result<OwnedFd> {
    Ok(File::open(format!("/proc/thread-self/ns/{kind}"))?.into())
}

/// Carries out `ip` commands in the calling thread's namespace.
pub(crate) fn configure(batch: &str) -> io::Result<()> {
    feed("ip", &["-batch", "-"], batch)
}

fn feed(program: &str, arguments: &[&str], input: &str) -> io::Result<()> {
    let failed = |reason: String| io::Error::other(format!("{program}: {reason}; its input was:\n{input}"));
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| failed(error.to_string()))?;
    child.stdin.take().expect("it was piped").write_all(input.as_bytes())?;
    let output = child.wait_with_output()?;
    if output.status.success() {
        Ok(())
    } else {
        Err(failed(String::from_utf8_lossy(&output.stderr).into_owned()))
    }
}

/// Whether packets to this address end at the attacker's.
pub(crate) fn is_attackers(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let servers =
                [[203, 0, 113], [192, 0, 2]].contains(&[v4.octets()[0], v4.octets()[1], v4.octets()[2]]);
            let cable = v4.octets()[..3] == [198, 18, 0];
            !(servers || cable || v4.is_multicast() || v4.is_broadcast() || v4.is_unspecified())
        }
        IpAddr::V6(v6) => {
            let servers = v6.segments()[..3] == [0x2001, 0xdb8, 0];
            let cable = v6.segments()[..3] == [0x2001, 0xdb8, 0x18];
            !(servers || cable || v6.is_multicast() || v6.is_unicast_link_local())
        }
    }
}
