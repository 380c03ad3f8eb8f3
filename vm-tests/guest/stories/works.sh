# Jails work on this machine as it is.
try user /vm/cijail-net doctor
echo "$said" | grep -v '^ok' || true
expect_code 0
works
