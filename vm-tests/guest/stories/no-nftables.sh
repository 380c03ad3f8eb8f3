refused "sudo modprobe nf_tables"
