#!/usr/bin/env bash
# A Kubernetes cluster on this machine: a control plane and two nodes, each in namespaces of its own.
# usage, as root: cluster.sh up WORK TOOLS IMAGE... | down WORK | status WORK
#   WORK   the folder of all that the cluster has
#   TOOLS  the folder of the programs
#   IMAGE  archives of images to load into both nodes
set -euo pipefail
umask 022
source_folder=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
nodes=(node-0 node-1)
. "$source_folder/machine.sh"
. "$source_folder/network.sh"
. "$source_folder/control_plane.sh"
. "$source_folder/node.sh"

say() { printf '==> %s\n' "$*" >&2; }
die() {
  printf 'cluster: %s\n' "$*" >&2
  exit 1
}

up() {
  tools=$(realpath "$2")
  lock
  if running; then
    say "the cluster in $work runs already"
  else
    clear_out
    create
  fi
  load_images "${@:3}"
  say "the cluster is up; to use it:
  export KUBECONFIG=$work/kubeconfig PATH=$tools:\$PATH"
}

create() {
  trap 'say "the cluster is not up; the logs are in $work/*/log; down removes all"' EXIT
  mkdir -p "$work"
  touch "$work/resolv.conf" # names are resolved in the cluster alone
  mkdir -m 1777 "$work/volumes" # for hostPath volumes: /run/cluster/volumes on both nodes
  gcc -Os -static -o "$work/pause" "$source_folder/pause.c"
  pack_image pause "$work/pause" >"$work/pause.tar"
  start_machine control
  {
    flock 8 # nobody else takes the block in between
    choose_block
    connect_host
  } 8</run
  choose_snapshotter
  printf '%s\n' "$snapshotter" >"$work/snapshotter"
  make_certificates
  install_kubeconfig
  local node
  for node in "${nodes[@]}"; do
    start_machine "$node"
    connect_node "$node"
  done
  route_services
  say "starting the control plane"
  start_control_plane
  say "starting ${nodes[*]}"
  for node in "${nodes[@]}"; do
    start_node "$node"
  done
  for node in "${nodes[@]}"; do
    wait_for 60 "$node/kubelet" is_ready "$node"
    start_policies "$node"
  done
  load_tool busybox # a shell for a pod that has none: kubectl debug --image localhost/busybox:1
  load_tool coredns
  start_name_server
  trap - EXIT
}

# The host's users have it, whoever became root for this.
install_kubeconfig() {
  install -m 600 -o "${SUDO_UID:-0}" -g "${SUDO_GID:-0}" "$work/pki/admin.kubeconfig" "$work/kubeconfig"
}

is_ready() { [[ $(kubectl get node "$1" -o jsonpath='{.status.conditions[?(@.type=="Ready")].status}') == True ]]; }

start_name_server() {
  sed "s/DNS_ADDRESS/$(address 1 10)/" "$source_folder/dns.yaml" | kubectl apply -f - >/dev/null
  kubectl -n kube-system rollout status deployment/coredns --timeout=60s >/dev/null ||
    die "the name server does not start: $(kubectl -n kube-system describe pods)"
}

# load_tool PROGRAM: as the image localhost/PROGRAM:1.
load_tool() {
  pack_image "$1" "$tools/$1" >"$work/$1.tar"
  load_images "$work/$1.tar"
  rm "$work/$1.tar"
}

load_images() {
  local node image
  for image in "$@"; do
    for node in "${nodes[@]}"; do
      load_image "$node" "$image" || die "$node did not load $image"
    done
  done
}

# pack_image NAME PROGRAM: prints an archive of the image localhost/NAME:1, which has the program alone.
pack_image() (
  folder=$(mktemp -d)
  trap 'rm -rf "$folder"' EXIT
  mkdir "$folder/root"
  cp -L "$2" "$folder/root/$1"
  tar -cf "$folder/layer.tar" --owner=0 --group=0 -C "$folder/root" .
  printf '{"architecture": "%s", "os": "linux", "config": {"Entrypoint": ["/%s"]},
    "rootfs": {"type": "layers", "diff_ids": ["sha256:%s"]}}' \
    "$(dpkg --print-architecture)" "$1" "$(sha256sum <"$folder/layer.tar" | cut -d' ' -f1)" >"$folder/config.json"
  printf '[{"Config": "config.json", "RepoTags": ["localhost/%s:1"], "Layers": ["layer.tar"]}]' "$1" \
    >"$folder/manifest.json"
  tar -cf - -C "$folder" manifest.json config.json layer.tar
)

kubectl() {
  "$tools/kubectl" --kubeconfig "$work/pki/admin.kubeconfig" --cache-dir "$work/kubectl" "$@"
}

# All of it, and what it was chosen to be is known.
running() {
  local machine
  for machine in control "${nodes[@]}"; do
    first_process "$machine" >/dev/null || return
  done
  [[ -e $work/snapshotter ]] && read -r snapshotter <"$work/snapshotter" && kubectl get --raw /readyz &>/dev/null
}

down() {
  [[ -e $work ]] || return 0
  lock
  clear_out
  rmdir "$work"
}

# Works on all that an earlier one may have left, whatever became of it.
clear_out() {
  local machine
  for machine in "${nodes[@]}" control; do
    stop_machine "$machine"
  done
  wait_for 30 "the end of the containers" remove_control_groups
  wait_for 30 "the end of the network" is_disconnected
  find "$work" -xdev -mindepth 1 -delete
}

# So that nobody else works on the same folder.
lock() {
  mkdir -p "$work"
  exec 9<"$work"
  flock -n 9 || die "another is at work on $work"
}

status() {
  local record program state all=0
  [[ -e $work ]] || die "there is no cluster in $work"
  for record in "$work"/*/*.process; do
    [[ -e $record ]] || die "nothing was started in $work"
    program=${record#"$work/"} state=runs
    runs "$record" >/dev/null || state=ended all=1
    printf '%-32s %s\n' "${program%.process}" "$state"
  done
  return $all
}

# wait_for SECONDS WHAT COMMAND...: until the command succeeds. WHAT may be MACHINE/PROGRAM.
wait_for() {
  local end=$((SECONDS + $1)) record=$work/$2.process log=$work/${2/\//\/log\/}.log
  until "${@:3}" &>/dev/null; do
    if ((SECONDS >= end)) || { [[ -e $record ]] && ! runs "$record" >/dev/null; }; then
      [[ ! -e $log ]] || tail -n 20 "$log" >&2
      die "waited for $2 in vain"
    fi
    sleep 0.1
  done
}

[[ $# -ge 2 && $1 =~ ^(up|down|status)$ ]] || die "usage: cluster.sh up WORK TOOLS IMAGE... | down WORK | status WORK"
((EUID == 0)) || die "namespaces need root"
work=$(realpath -m "$2")
name=$(printf '%s' "$work" | sha256sum | head -c 8)
interface=gv-$name
cgroup=grapevine-$name
"$1" "${@:2}"
