# What a job that is root would do to the kernel it runs on, and what any job may try.
workspace
files="core_pattern modprobe hotplug"
before=$(for file in $files; do cat "/proc/sys/kernel/$file" 2>/dev/null; done; cat /proc/sys/net/ipv4/ip_forward)
cat >attempts <<'END'
attempt() { what=$1; shift; if "$@" >/dev/null 2>&1; then echo "open: $what"; else echo "refused: $what"; fi; }
put() { echo "$2" >"$1"; }
attempt core_pattern put /proc/sys/kernel/core_pattern '|/tmp/handler'
attempt modprobe put /proc/sys/kernel/modprobe /tmp/handler
attempt ip_forward put /proc/sys/net/ipv4/ip_forward 1
attempt sysrq put /proc/sysrq-trigger h
attempt sysrq-mask put /proc/sys/kernel/sysrq 1
attempt uevent put /sys/kernel/uevent_helper /tmp/handler
mkdir -p m
attempt debugfs mount -t debugfs debugfs m
attempt tracefs mount -t tracefs tracefs m
attempt securityfs mount -t securityfs securityfs m
attempt bpffs mount -t bpf bpf m
attempt sysfs mount -t sysfs sysfs m
attempt tmpfs mount -t tmpfs tmpfs m
attempt remount mount -o remount,rw /proc/sys
attempt unmount umount /proc/sys
attempt module insmod "$(find /lib/modules -name 'dummy.ko*')"
attempt autoload ip link add d0 type dummy
attempt mknod mknod node b 254 0
date -s 2001-01-01 >/dev/null 2>&1
attempt hostname-outside nsenter -t 1 -u hostname taken
attempt network-outside nsenter --net=/proc/1/ns/net ip link
attempt chroot-out nsenter -t 1 -m true
attempt reboot reboot -f
attempt memory dd if=/dev/mem of=/dev/null bs=1 count=1
attempt port dd if=/dev/port of=/dev/null bs=1 count=1
attempt nftables nft flush ruleset
END
try jail -- sh attempts
echo "$said"
expect_code 0
after=$(for file in $files; do cat "/proc/sys/kernel/$file" 2>/dev/null; done; cat /proc/sys/net/ipv4/ip_forward)
[ "$after" = "$before" ] || fail "the kernel's settings changed: $after"
[ "$(date +%Y)" -gt 2001 ] || fail "the clock was set"
[ ! -e /sys/class/net/d0 ] || fail "a link on the host"
# nsenter -t 1 means the job's own init: what it shows is the job's own.
open=$(echo "$said" | grep '^open: ' | grep -v -E '(hostname-outside|network-outside|chroot-out)$') || return 0
fail "the job could: $open"
