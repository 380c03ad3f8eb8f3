package kntrl.network["is_local_ip_addr"]

import rego.v1

policy if {
	data.allow_local_ip_ranges == true
	to := input.daddr
	private := ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "0.0.0.0/32"]
	net.cidr_contains(private[_], to)
}
