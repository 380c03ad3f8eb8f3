# The machine's disk, which nothing else uses: the runner looks at its content afterwards too. A job of root is told to
# run as another user, as the README says; `devices` is the same without.
[ -b /dev/vda ] || fail "the machine has no disk"
try jail --user worker -- sh -c 'dd if=/dev/vda of=/dev/null bs=512 count=1 || echo forged | dd of=/dev/vda conv=notrunc'
[ "$code" != 0 ] || fail "the job used the disk: $said"
