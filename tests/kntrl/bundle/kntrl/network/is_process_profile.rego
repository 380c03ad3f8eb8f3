package kntrl.network["is_process_profile"]

import rego.v1

# A process with hosts of its own.
policy if {
	own := data.process_profiles[_]
	own.process == input.task_name
	some name in input.domains
	wanted := own.allowed_hosts[_]
	_is_like(name, wanted)
}

# A process with ranges of its own.
policy if {
	own := data.process_profiles[_]
	own.process == input.task_name
	net.cidr_contains(own.allowed_cidrs[_], input.daddr)
}

_is_like(name, wanted) if {
	name == wanted
}

_is_like(name, wanted) if {
	startswith(wanted, ".")
	endswith(name, wanted)
}

_is_like(name, wanted) if {
	not startswith(wanted, ".")
	endswith(name, concat(".", ["", wanted]))
}
