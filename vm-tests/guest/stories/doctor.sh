try user /vm/cijail-net doctor
expect_code 0
expect_says "works here"
[ -z "$(echo "$said" | grep '^missing')" ] || fail "$said"
