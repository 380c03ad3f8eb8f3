package kntrl

import rego.v1

# Nothing that ls would say to anybody.
ancestry_denied if {
	input.task_name == "ls"
}
