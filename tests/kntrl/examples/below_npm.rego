## What a worm among npm's packages does, as rules.
package kntrl

import rego.v1

# Collectors of secrets, whoever asks, by the names of the address and by the server name.
ancestry_denied if {
	some name in input.domains
	_collects(name)
}

ancestry_denied if {
	input.sni != ""
	_collects(input.sni)
}

# A host for packages' authors, not for their install scripts.
ancestry_denied if {
	_is_below_npm
	some name in input.domains
	name == "api.forge.test"
}

ancestry_denied if {
	_is_below_npm
	input.sni == "api.forge.test"
}

# Credentials of the machine.
ancestry_denied if {
	_is_below_npm
	_is_metadata(input.daddr)
}

# What npm starts speaks to its registry alone.
ancestry_denied if {
	_is_below_npm
	not input.task_name in {"npm", "node", "git"}
	count(input.domains) > 0
	not _names_the_registry
}

ancestry_denied if {
	_is_below_npm
	not input.task_name in {"npm", "node", "git"}
	input.sni != ""
	not _is_registry(input.sni)
}

_is_below_npm if {
	input.ancestors[_] == "npm"
}

_is_below_npm if {
	input.ancestors[_] == "node"
}

_collects(name) if {
	endswith(name, "collector.test")
}

_collects(name) if {
	endswith(name, "paste.test")
}

_is_metadata(address) if {
	address == "169.254.169.254"
}

_is_metadata(address) if {
	# Azure's
	address == "168.63.129.16"
}

_is_registry(name) if {
	endswith(name, "registry.test")
}

_names_the_registry if {
	some name in input.domains
	_is_registry(name)
}
