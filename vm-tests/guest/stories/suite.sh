# The repository's own black-box tests, on this kernel; WORDS choose among them.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export CIJAIL_NET_BINARY=/vm/cijail-net
for word in $(echo "$WORDS" | tr , ' '); do
  /vm/tests --test-threads 1 "$word" 2>/vm/suite.err && continue
  tail -c 20000 /vm/suite.err
  fail "tests of $word"
done
