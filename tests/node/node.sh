# The machines node-0 and node-1: containerd, kubelet, kube-proxy, and kube-router for network policies alone.

start_node() {
  local node=$1
  make_control_group "$cgroup/$node"
  containerd_configuration "$node" >"$work/$node/containerd.toml"
  mkdir "$work/$node/cni"
  pod_network "$node" >"$work/$node/cni/10-pods.conflist"
  kubelet_configuration "$node" >"$work/$node/kubelet.yaml"
  start "$node" containerd --config "/run/cluster/$node/containerd.toml"
  wait_for 30 "$node/containerd" in_containerd "$node" version
  load_image "$node" "$work/pause.tar"
  start "$node" kubelet --config="/run/cluster/$node/kubelet.yaml" --kubeconfig="/run/cluster/pki/$node.kubeconfig" \
    --node-ip="$(machine_address "$node")"
  # Namespaces may not set the host's limits on connections.
  start "$node" kube-proxy --kubeconfig=/run/cluster/pki/kube-proxy.kubeconfig --cluster-cidr="$(address 2 0)/23" \
    --conntrack-max-per-core=0 --conntrack-tcp-timeout-established=0 --conntrack-tcp-timeout-close-wait=0
}

# Needs to find its node at the API server.
start_policies() {
  start "$1" kube-router --kubeconfig=/run/cluster/pki/kube-router.kubeconfig --hostname-override="$1" \
    --run-router=false --run-service-proxy=false --service-cluster-ip-range="$(address 1 0)/24"
  wait_for 30 "$1/kube-router" inside "$1" busybox wget -q -O /dev/null http://127.0.0.1:20244/healthz
}

in_containerd() { inside "$1" ctr --namespace k8s.io "${@:2}"; }

# load_image NODE ARCHIVE
load_image() {
  in_containerd "$1" images import --snapshotter "$snapshotter" - <"$2" >/dev/null
}

# overlayfs cannot lie on overlayfs, on which containers live.
choose_snapshotter() {
  snapshotter=native
  mkdir -p "$work/probe"/{lower,upper,work,merged}
  if unshare --mount mount -t overlay overlay "$work/probe/merged" \
    -o "lowerdir=$work/probe/lower,upperdir=$work/probe/upper,workdir=$work/probe/work" 2>/dev/null; then
    snapshotter=overlayfs
  fi
  rm -rf "$work/probe"
}

containerd_configuration() {
  cat <<TOML
version = 2

[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "localhost/pause:1"
restrict_oom_score_adj = true # containers may have no right to lower it
disable_apparmor = true # its profiles are the host's

[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/run/tools"
conf_dir = "/run/cluster/$1/cni"

[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "$snapshotter"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
TOML
}

# Each pod has a link of its own to the node, which routes: even between two of its pods, so that the node's
# rules on services and policies see all traffic.
pod_network() {
  cat <<JSON
{
  "cniVersion": "0.4.0",
  "name": "pods",
  "plugins": [
    {
      "type": "ptp",
      "ipam": {
        "type": "host-local",
        "dataDir": "/run/cni",
        "ranges": [[{"subnet": "$(pods_of "$1")"}]],
        "routes": [{"dst": "0.0.0.0/0"}]
      }
    },
    {"type": "portmap", "capabilities": {"portMappings": true}}
  ]
}
JSON
}

kubelet_configuration() {
  cat <<YAML
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
authentication:
  anonymous: {enabled: false}
  webhook: {enabled: true}
  x509: {clientCAFile: /run/cluster/pki/ca.crt}
authorization: {mode: Webhook}
tlsCertFile: /run/cluster/pki/$1.crt
tlsPrivateKeyFile: /run/cluster/pki/$1.key
clusterDNS: [$(address 1 10)]
clusterDomain: cluster.local
resolvConf: /run/cluster/resolv.conf
cgroupDriver: cgroupfs
cgroupRoot: /$cgroup/$1
failCgroupV1: false
failSwapOn: false
imageGCHighThresholdPercent: 100 # there is no registry to fetch an image from again
evictionHard: {memory.available: 100Mi, nodefs.available: 1%, imagefs.available: 1%}
YAML
}

# --- control groups: version 1 has a tree for each controller, version 2 one for all ---

control_group_trees() {
  awk '$3 == "cgroup" || $3 == "cgroup2" { print $2 }' /proc/mounts
}

# Kubelets on one kernel must not share a group: each clears out what it does not know.
make_control_group() {
  local tree group part file
  while read -r tree; do
    group=$tree
    for part in ${1//\// }; do
      [[ ! -e $group/cgroup.subtree_control ]] || hand_on_controllers "$group"
      [[ -d $group/$part ]] || mkdir "$group/$part"
      for file in cpuset.cpus cpuset.mems; do # empty in a new group of version 1
        [[ ! -e $group/cgroup.clone_children || ! -e $group/$file ]] || cat "$group/$file" >"$group/$part/$file"
      done
      group=$group/$part
    done
  done < <(control_group_trees)
}

# In version 2 a group has the controllers that the group above hands on; these are what a kubelet wants.
hand_on_controllers() {
  local controller
  for controller in cpu cpuset memory hugetlb pids io; do
    [[ " $(<"$1/cgroup.controllers") " != *" $controller "* ]] ||
      printf '+%s' "$controller" >"$1/cgroup.subtree_control" || die "the controller $controller of $1 is not handed on"
  done
}

remove_control_groups() {
  local tree
  while read -r tree; do
    [[ ! -d $tree/$cgroup ]] || find "$tree/$cgroup" -depth -type d -exec rmdir {} + || return
  done < <(control_group_trees)
}
