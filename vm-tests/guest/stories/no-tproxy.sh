refused "sudo modprobe nft_tproxy"
