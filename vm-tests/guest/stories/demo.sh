try user /vm/cijail-net demo
echo "$said" | tail -n 11
expect_code 0
expect_says "by 7 ways of 7, in the jail by none"
