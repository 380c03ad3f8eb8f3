# Nothing was loaded beforehand: the kernel finds its modules when the first jail asks for them.
if grep -q '^nf_tables ' /proc/modules; then fail "nf_tables was there before"; fi
works
grep -q '^nft_tproxy ' /proc/modules || fail "nft_tproxy is not in use"
