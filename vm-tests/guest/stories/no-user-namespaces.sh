refused "sudo sysctl -w user.max_user_namespaces=31231"
