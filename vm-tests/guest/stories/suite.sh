# The repository's own black-box tests, on this kernel; WORDS choose among them.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export CIJAIL_NET_BINARY=/vm/cijail-net
# An emulated processor is some ten times slower.
export CIJAIL_NET_TEST_PATIENCE=10
failed=
for word in $(echo "$WORDS" | tr , ' '); do
  # Panics are shown again, in order, after the tests.
  /vm/tests --color never --test-threads 1 "$word" 2>/dev/null || failed="$failed $word"
done
[ -z "$failed" ] || fail "tests of$failed"
