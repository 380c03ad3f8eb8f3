## What install scripts of two package managers may not do.
package kntrl

import rego.v1

ancestry_denied if {
	some name in input.domains
	_collects(name)
}

ancestry_denied if {
	_is_below_a_manager
	_is_metadata(input.daddr)
}

ancestry_denied if {
	_is_below_npm
	not input.task_name in {"npm", "node", "git"}
	count(input.domains) > 0
	not _names_the_registry
}

ancestry_denied if {
	_is_below_pip
	not input.task_name in {"pip", "pip3", "python", "python3", "git"}
	count(input.domains) > 0
	not _names_the_index
}

_is_below_npm if { input.ancestors[_] == "npm" }
_is_below_npm if { input.ancestors[_] == "node" }

_is_below_pip if { input.ancestors[_] == "pip" }
_is_below_pip if { input.ancestors[_] == "pip3" }

_is_below_a_manager if { _is_below_npm }
_is_below_a_manager if { _is_below_pip }

_collects(name) if { endswith(name, "collector.test") }
_collects(name) if { endswith(name, "paste.test") }

_is_metadata(address) if { address == "169.254.169.254" } # two clouds' address
_is_metadata(address) if { address == "168.63.129.16" }   # a third one's

_names_the_registry if {
	some name in input.domains
	endswith(name, "registry.test")
}

_names_the_index if {
	some name in input.domains
	endswith(name, "index.test")
}
