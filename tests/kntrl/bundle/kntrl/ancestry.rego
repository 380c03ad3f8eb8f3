package kntrl

import rego.v1

default ancestry_denied = false

# A process below all of the ancestors that are named, in whatever order.
ancestry_denied if {
	blocked := data.blocked_process_chains[_]
	input.task_name == blocked.process
	every name in blocked.ancestors {
		input.ancestors[_] == name
	}
}
