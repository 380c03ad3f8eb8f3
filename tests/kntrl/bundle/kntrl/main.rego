package kntrl

import rego.v1

default policy = false

# Any package below kntrl.network may allow.
reachable if {
	data.kntrl.network[_].policy
}

# No list of processes, and an empty one, are for all.
permitted if {
	not data.allowed_processes
}

permitted if {
	count(data.allowed_processes) == 0
}

permitted if {
	data.allowed_processes[_] == input.task_name
}

policy if {
	reachable
	permitted
	not ancestry_denied
}
