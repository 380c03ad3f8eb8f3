//! What the miniature internet's resolver answers.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard};

use super::dns_message::{CNAME, Code, Data, Question, Record};

const TTL: u32 = 60;
const LONGEST_CHAIN: usize = 8;

/// Every name that exists. Names below a wildcard (`*.evil.test`) exist at any depth.
#[derive(Debug, Default)]
pub(crate) struct Zone {
    names: Mutex<HashMap<String, Vec<Data>>>,
}

impl Zone {
    pub(crate) fn address(&self, name: &str, address: impl Into<IpAddr>) -> &Self {
        self.add(name, address_data(address.into()))
    }

    pub(crate) fn cname(&self, name: &str, target: &str) -> &Self {
        self.add(name, Data::Cname(target.to_owned()))
    }

    pub(crate) fn txt(&self, name: &str, text: &str) -> &Self {
        self.add(name, Data::Txt(text.as_bytes().to_vec()))
    }

    /// An HTTPS record with `alpn=http/1.1` and an ECH key (RFC 9848) of these bytes.
    pub(crate) fn https_with_ech(&self, name: &str, ech: &[u8]) -> &Self {
        let parameter = |key: u16, value: &[u8]| {
            [&key.to_be_bytes(), &(value.len() as u16).to_be_bytes(), value].concat()
        };
        let parameters = [parameter(1, b"\x08http/1.1"), parameter(5, ech)].concat();
        self.add(name, Data::Https(parameters))
    }

    /// Forgets what a name stood for and gives it this address only.
    pub(crate) fn move_to(&self, name: &str, address: impl Into<IpAddr>) {
        self.locked().insert(name.to_owned(), vec![address_data(address.into())]);
    }

    /// The first IPv6 address of a name.
    pub(crate) fn v6_of(&self, name: &str) -> Ipv6Addr {
        let names = self.locked();
        let v6 = names[name].iter().find_map(|data| if let Data::Aaaa(v6) = data { Some(*v6) } else { None });
        v6.expect("the name has an IPv6 address")
    }

    pub(crate) fn answer(&self, question: &Question) -> (Code, Vec<Record>) {
        let names = self.locked();
        let mut answers = Vec::new();
        let mut name = question.name.clone();
        for _ in 0..LONGEST_CHAIN {
            let Some(all) = find(&names, &name) else {
                let code = if answers.is_empty() { Code::NameError } else { Code::NoError };
                return (code, answers);
            };
            let record = |data: &Data| Record { name: name.clone(), ttl: TTL, data: data.clone() };
            answers.extend(all.iter().filter(|data| data.record_type() == question.record_type).map(record));
            let alias = all.iter().find_map(|data| match data {
                Data::Cname(target) if question.record_type != CNAME => Some((record(data), target.clone())),
                _ => None,
            });
            match alias {
                Some((link, target)) => {
                    answers.push(link);
                    name = target;
                }
                None => break,
            }
        }
        (Code::NoError, answers)
    }

    fn add(&self, name: &str, data: Data) -> &Self {
        self.locked().entry(name.to_owned()).or_default().push(data);
        self
    }

    fn locked(&self) -> MutexGuard<'_, HashMap<String, Vec<Data>>> {
        self.names.lock().unwrap()
    }
}

fn address_data(address: IpAddr) -> Data {
    match address {
        IpAddr::V4(address) => Data::A(address),
        IpAddr::V6(address) => Data::Aaaa(address),
    }
}

fn find<'a>(names: &'a HashMap<String, Vec<Data>>, name: &str) -> Option<&'a Vec<Data>> {
    names.get(name).or_else(|| {
        let parents = name.match_indices('.').map(|(dot, _)| &name[dot + 1..]);
        parents.into_iter().find_map(|parent| names.get(&format!("*.{parent}")))
    })
}

/// The `n`th benign server's addresses.
pub(crate) fn server_addresses(n: u8) -> (Ipv4Addr, Ipv6Addr) {
    (Ipv4Addr::new(203, 0, 113, n), Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, u16::from(n)))
}
