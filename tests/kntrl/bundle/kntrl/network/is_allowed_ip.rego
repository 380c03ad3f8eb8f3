package kntrl.network["is_allowed_ip"]

import rego.v1

policy if {
	input.daddr == data.allowed_ip_addr[_]
}

policy if {
	input.daddr == data.allowed_ipv6s[_]
}
