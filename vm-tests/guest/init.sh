#!/vm/busybox sh
# Process 1 of the guest. The kernel hands over what its command line sets: RUN (stories, each NAME:USER), WITHOUT
# (modules that this kernel shall not have), LOAD (all, or few where the kernel has to ask for the rest), and the words
# that filter the test suite, WORDS.
export PATH=/vm/bin
/vm/busybox mkdir -p /vm/bin /proc /sys /dev /tmp /run /var/tmp /root /home/worker /mnt /media /etc
/vm/busybox --install -s /vm/bin
# A machine of busybox alone; one with the host's programs has its own.
for place in bin sbin usr/bin usr/sbin; do
  [ -e /$place ] || { mkdir -p /${place%/*} && ln -s /vm/bin /$place; }
done

mount -t proc -o nosuid,nodev,noexec proc /proc
mount -t sysfs -o nosuid,nodev,noexec sys /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts -o mode=620,ptmxmode=666 devpts /dev/pts
for place in /tmp /run /dev/shm; do mount -t tmpfs -o nosuid,nodev tmpfs $place; done
chmod 1777 /tmp /dev/shm
chown 1000:1000 /home/worker
ln -sf /proc/self/fd /dev/fd
dmesg -n 1
ulimit -n 65536

for module in $(echo "$WITHOUT" | tr , ' '); do
  find /lib/modules -name "$module.ko*" -exec rm {} +
done
echo /vm/bin/modprobe >/proc/sys/kernel/modprobe
for module in $(cat /vm/order-$LOAD); do
  [ ! -e "$module" ] || insmod "$module" || echo "cannot load $module"
done

. /vm/internet.sh
echo "@vm booted $(uname -r)"
for story in $(echo "$RUN" | tr , ' '); do
  /vm/story.sh "${story%:*}" "${story#*:}"
done
echo "@vm done"
poweroff -f
