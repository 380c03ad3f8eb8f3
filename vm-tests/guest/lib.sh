# What stories use. They run as root, to look from outside; `user` runs a command as the story's user.
user() {
  if [ "$AS" = root ]; then "$@"; else su -s /vm/bin/sh -c 'exec "$@"' worker -- sh "$@"; fi
}

# cijail-net run, as the story's user.
jail() {
  user /vm/cijail-net run "$@"
}

fail() {
  echo "failed: $*"
  exit 1
}

# Runs a command, keeps all that it says in $said, and its status in $code.
try() {
  code=0
  said=$("$@" 2>&1) || code=$?
}

expect_code() {
  [ "$code" = "$1" ] || fail "status $code instead of $1: $said"
}

expect_says() {
  case $said in *"$1"*) ;; *) fail "nothing says \"$1\": $said" ;; esac
}

expect_silence_about() {
  case $said in *"$1"*) fail "\"$1\" is said: $said" ;; esac
}

# What the denied server has heard so far.
heard() { cat /var/log/evil; }

# Waits for a condition, at most ten seconds.
await() {
  for _ in $(seq 100); do
    if "$@"; then return 0; fi
    usleep 100000
  done
  fail "in vain: $*"
}

# A place for the story's files, which its user may write in.
workspace() {
  space=$(mktemp -d /var/tmp/story.XXXXXX)
  if [ "$AS" = user ]; then chown 1000:1000 "$space"; fi
  cd "$space"
}

# The machine does not let this user run jails: the doctor names the one thing to do, and no job starts. What a run
# says has to contain the second text, if it is another.
refused() {
  workspace
  try user /vm/cijail-net doctor
  echo "$said" | grep -v '^ok'
  expect_code 1
  expect_says "remedy: $1"
  try jail --allow 203.0.113.10:80 -- touch started
  expect_code 125
  expect_says "remedy: "
  expect_says "${2:-$1}"
  [ ! -e started ] || fail "the job was started"
}

# Jails work: an allowed fetch and a denied one.
works() {
  before=$(heard)
  try jail --allow 203.0.113.10:80 -- wget -q -O - http://203.0.113.10/
  expect_code 0
  expect_says "hello from good"
  try jail --allow 203.0.113.10:80 -- wget -q -O - http://198.51.100.66/
  expect_code 1
  expect_silence_about evil
  [ "$(heard)" = "$before" ] || fail "the denied server heard: $(heard)"
}
