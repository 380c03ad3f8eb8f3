refused "sudo modprobe veth"
