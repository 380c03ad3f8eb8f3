workspace
try jail -- sh -c 'exit 7'; expect_code 7
try jail -- sh -c 'kill -TERM $$'; expect_code 143
try jail -- sh -c 'kill -KILL $$'; expect_code 137
try jail -- /no/such/command; expect_code 127
try jail -- /etc/passwd; expect_code 126
try jail --no-such-option -- touch started; expect_code 125
try jail --allow 'bad host' -- touch started; expect_code 125
[ ! -e started ] || fail "the job was started"
try jail --fail-on-blocked -- sh -c 'timeout 5 wget -q -O - http://198.51.100.66/; true'; expect_code 122
try jail --fail-on-blocked -- true; expect_code 0
