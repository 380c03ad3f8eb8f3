package kntrl.network["is_metadata"]

import rego.v1

services := ["168.63.129.16/32", "169.254.169.254/32"]

policy if {
	data.allow_metadata == true
	net.cidr_contains(services[_], input.daddr)
}
