# In a user namespace of its own, a run sees that namespace's limits, and names the host's among others.
refused "sudo sysctl -w user.max_net_namespaces=31231" "user.max_net_namespaces=31231"
