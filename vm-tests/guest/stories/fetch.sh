works
before=$(heard)
try jail --allow '[2001:db8::10]:80' -- wget -q -O - 'http://[2001:db8::10]/'
expect_code 0
expect_says "hello from good"
for target in 'http://[2001:db8:66::66]/' 'http://203.0.113.10:8080/' 'http://169.254.169.254/' 'http://127.0.0.1/'; do
  try jail --allow '[2001:db8::10]:80' -- timeout 5 wget -q -O - "$target"
  expect_code 1
done
[ "$(heard)" = "$before" ] || fail "the denied server heard: $(heard)"
# Without a jail the same machine reaches it.
try user wget -q -O - http://198.51.100.66/
expect_says evil
[ "$(heard)" != "$before" ] || fail "the denied server hears nothing at all"
