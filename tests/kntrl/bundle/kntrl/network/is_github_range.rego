package kntrl.network["is_github_range"]

import rego.v1
import data.assets.github

networks := github.actions

# Whatever in the input is an address counts, so the rest must do no harm.
policy if {
	data.allow_github_meta == true
	to := input[_]
	net.cidr_contains(networks[_], to)
}
