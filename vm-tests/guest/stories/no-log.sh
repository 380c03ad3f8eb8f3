refused "sudo modprobe -a nft_log nfnetlink_log"
