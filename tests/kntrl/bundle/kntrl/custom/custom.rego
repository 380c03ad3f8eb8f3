package kntrl.custom["custom"]

import rego.v1
