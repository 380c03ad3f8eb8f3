# A kernel whose IPv6 is switched off.
[ ! -e /proc/net/if_inet6 ] || fail "there is IPv6"
try user /vm/cijail-net doctor
echo "$said" | grep -v '^ok' || true
works
