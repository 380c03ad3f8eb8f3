# The job tries on and on while its gateway dies, and is gone with it.
workspace
before=$(heard)
jail --allow 203.0.113.10:80 --log-file log -- sh -c '
  setsid sleep 31415 & sleep 31415 &
  while :; do timeout 1 wget -q -O - http://198.51.100.66/leak; echo >>tried; done' >/dev/null 2>&1 &
tried_often() { [ -s tried ] && [ "$(wc -l <tried)" -gt 3 ]; }
await tried_often
# The oldest process of that name is the gateway; the job and its init are its descendants.
gateway=$(pidof cijail-net | tr ' ' '\n' | sort -n | head -n 1)
[ -n "$gateway" ] || fail "no gateway"
kill -KILL "$gateway"
# The job has this number in its command lines, all of them.
gone() { [ -z "$(pidof cijail-net)" ] && ! grep -qs 31415 /proc/[0-9]*/cmdline; }
await gone
tries=$(wc -l <tried)
usleep 300000
[ "$(wc -l <tried)" = "$tries" ] || fail "the job goes on"
[ "$(heard)" = "$before" ] || fail "the denied server heard: $(heard)"
