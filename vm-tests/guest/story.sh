#!/vm/busybox sh
# Runs one story as root or as the unprivileged user, and checks from outside that it left nothing behind.
story=$1
as=$2
now() { cut -d' ' -f1 /proc/uptime; }

# Namespaces that processes are in, mounts, links, files where a program might forget some, and marked processes.
snapshot() {
  ls -l /proc/[0-9]*/ns 2>/dev/null | sed -n 's/.* -> //p' | sort -u
  cat /proc/self/mountinfo
  ls /sys/class/net
  ls -A /tmp /run /dev/shm
  for pid in $(marked); do tr '\0' ' ' <"/proc/$pid/cmdline"; echo; done 2>/dev/null
}

# The processes that the story has started, directly or not.
marked() {
  grep -ls "^VM_STORY=\|[^[:print:]]VM_STORY=" /proc/[0-9]*/environ | cut -d/ -f3
}

stop() {
  for pid in $(marked); do kill -KILL "$pid"; done
}

left_behind() {
  end=$(($(now | cut -d. -f1) + 5))
  while snapshot >/vm/after; ! cmp -s /vm/before /vm/after; do
    [ "$(now | cut -d. -f1)" -lt $end ] || return 0
    usleep 50000
  done
  return 1
}

echo "@vm begin $story $as"
started=$(now)
snapshot >/vm/before
# busybox's own timeout looks once a second, and would be among the processes left behind until then.
(sleep "${LIMIT:-60}" && stop) &
limit=$!
# In the foreground: what a shell runs in the background ignores interrupts.
VM_STORY=$story AS=$as sh -eu -c '. /vm/lib.sh; . "/vm/stories/$VM_STORY.sh"' </dev/null
code=$?
kill $limit
result=ok
[ $code = 0 ] || { echo "the story ended with $code"; result=failed; }
if left_behind; then
  echo "left behind:"
  diff /vm/before /vm/after | grep '^[+-]'
  result=failed
  # So that it does not spoil the next one.
  stop
fi
echo "@vm end $story $as $result $started $(now)"
