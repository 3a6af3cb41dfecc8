# The cluster's network is one block of 1024 addresses out of 198.18.0.0/15, which is set aside for trials on
# networks: .0 machines, .1 services, .2 and .3 the pods of each node. The machine `control` is the switch between
# machines; the host has an address on it and a route to the whole block. Nothing leads out of the cluster.

address() { printf '198.%d.%d.%d' $((18 + block / 64)) $((block % 64 * 4 + $1)) "$2"; }
machine_address() { # NAME
  case $1 in
    control) address 0 1 ;;
    node-*) address 0 $((10 + ${1#node-})) ;;
    host) address 0 254 ;;
  esac
}
pods_of() { printf '%s/24' "$(address $((2 + ${1#node-})) 0)"; } # NODE

# Sets block: the first that nothing on this host uses, from one that the work folder's name chooses.
choose_block() {
  local start try network
  start=$(($(printf '%s' "$work" | cksum | cut -d' ' -f1) % 128))
  for ((try = start; try < start + 128; ++try)); do
    block=$((try % 128))
    network=$(address 0 0)/22
    [[ -n $(ip route show root "$network" table all; ip route show root 198.18.0.0/15 match "$network" table all) ]] ||
      return 0
  done
  die "this host has routes to all of 198.18.0.0/15"
}

# The host's interface first: with its addresses the block is taken.
connect_host() {
  local control
  control=$(first_process control)
  ip link add "$interface" type veth peer name host netns "$control"
  ip address add "$(machine_address host)/24" dev "$interface"
  ip link set "$interface" up
  inside control ip link add lan type bridge
  inside control ip link set host master lan up
  inside control ip address add "$(machine_address control)/24" dev lan
  inside control ip link set lan up
  ip route add "$(address 0 0)/22" via "$(machine_address control)"
}

is_disconnected() { [[ ! -e /sys/class/net/$interface ]]; }

connect_node() {
  local other
  ip link add "$1" netns "$(first_process control)" type veth peer name eth0 netns "$(first_process "$1")"
  inside control ip link set "$1" master lan up
  inside "$1" ip address add "$(machine_address "$1")/24" dev eth0
  inside "$1" ip link set eth0 up
  inside "$1" ip route add default via "$(machine_address control)"
  inside control ip route add "$(pods_of "$1")" via "$(machine_address "$1")"
  for other in "${nodes[@]}"; do
    [[ $other == "$1" ]] || inside "$1" ip route add "$(pods_of "$other")" via "$(machine_address "$other")"
  done
}

# From outside of the nodes the first one leads to services.
route_services() {
  inside control ip route add "$(address 1 0)/24" via "$(machine_address "${nodes[0]}")"
}
