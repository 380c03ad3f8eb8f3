# A host that has no IPv4 at all, not even on its loopback.
cat >/vm/ipv6-host.sh <<'END'
. /vm/lib.sh
set -eu
ip link set lo up
ip address flush dev lo 2>/dev/null || ip address del 127.0.0.1/8 dev lo
for address in ::1/128 2001:db8::10/128 2001:db8:66::66/128; do ip -6 address add $address dev lo 2>/dev/null || true; done
[ -z "$(ip -4 address show dev lo | grep inet)" ] || fail "there is IPv4"
httpd -f -p '[2001:db8::10]:80' -h /srv/good & good=$!
httpd -f -vv -p '[2001:db8:66::66]:80' -h /srv/evil 2>>/vm/heard & evil=$!
trap 'kill $good $evil' EXIT
usleep 300000
try jail --allow '[2001:db8::10]:80' -- wget -q -O - 'http://[2001:db8::10]/'
expect_code 0
expect_says "hello from good"
for target in '[2001:db8:66::66]' 203.0.113.10; do
  try jail --allow '[2001:db8::10]:80' -- timeout 5 wget -q -O - "http://$target/"
  expect_code 1
done
[ ! -s /vm/heard ] || fail "the denied server heard: $(cat /vm/heard)"
END
rm -f /vm/heard
unshare -n sh /vm/ipv6-host.sh
