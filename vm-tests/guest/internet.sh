# The machine's network: everything is on the loopback of this machine, which has no other link. What the denied
# server heard is in its log.
ip link set lo up
for address in 203.0.113.10/32 198.51.100.66/32; do ip address add $address dev lo; done
for address in 2001:db8::10/128 2001:db8:66::66/128; do ip -6 address add $address dev lo 2>/dev/null; done

mkdir -p /srv/good /srv/evil /var/log
echo "hello from good" >/srv/good/index.html
echo "evil" >/srv/evil/index.html
serve() {
  httpd -f -vv -p "$1:80" -h "/srv/$2" 2>>"/var/log/$2" &
}
serve 203.0.113.10 good
serve 198.51.100.66 evil
if [ -e /proc/net/if_inet6 ]; then
  serve '[2001:db8::10]' good
  serve '[2001:db8:66::66]' evil
fi
