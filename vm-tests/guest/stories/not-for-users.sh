refused "sudo sysctl -w kernel.unprivileged_userns_clone=1"
