package kntrl.network["is_allowed_hosts"]

import rego.v1

# Whatever in the input is a list may have the host.
policy if {
	listed := input[_]

	some name in listed
	wanted := data.allowed_hosts[_]
	_is_like(name, wanted)
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
