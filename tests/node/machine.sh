#!/usr/bin/env bash
# A machine is a set of namespaces: mounts, processes, network and name. It lives as long as its first process:
# when that is killed, the kernel ends all others, drops the mounts and the network. So nothing has to be undone.
# Inside, the work folder is /run/cluster and the tools are /run/tools.
#
# Sourced by cluster.sh, which sets work and tools; run by start_machine as a machine's first process.

# start_machine NAME
start_machine() {
  mkdir -p "$work/$1"/{lib,log}
  setsid unshare --mount --net --pid --ipc --uts --fork \
    bash "$source_folder/machine.sh" "$1" "$work" "$tools" >"$work/$1/log/machine.log" 2>&1 </dev/null 9<&- &
  wait_for 10 "$1/machine" test -s "$work/$1/machine.process"
}

# Runs as the first process: NAME WORK TOOLS.
become_machine() {
  local name=$1 work=$2 tools=$3 process
  read -r process _ </proc/self/stat # as the world outside sees it, while /proc is still that one's
  mount -t proc proc /proc
  mount -t tmpfs -o mode=755 tmpfs /run # hides the host's container runtimes
  mkdir -p /run/cluster /run/tools /run/lock
  mount --bind "$work" /run/cluster
  mount --bind "$tools" /run/tools
  mount --bind "/run/cluster/$name/lib" /var/lib
  mount --bind "/run/cluster/$name/log" /var/log
  cd /
  hostname "$name"
  ip link set lo up
  echo 1 >/proc/sys/net/ipv4/ip_forward
  printf '%s %s\n' "$process" "$(identity_of "$process" 1)" >"/run/cluster/$name/machine.process"
  exec /run/cluster/pause
}

# identity_of PROCESS [PROCESS-HERE]: what no other process, nor one after the next boot, has in common with it.
identity_of() {
  local stat
  { stat=$(<"/proc/${2:-$1}/stat"); } 2>/dev/null || return
  stat=${stat##*) } # past the name, which may have spaces
  printf '%s-%s' "$(cut -d' ' -f20 <<<"$stat")" "$(</proc/sys/kernel/random/boot_id)"
}

# runs RECORD: prints the process of whom the record is, if it runs.
runs() {
  local process identity
  { read -r process identity <"$1"; } 2>/dev/null || return
  [[ $(identity_of "$process") == "$identity" ]] && printf '%s' "$process"
}

first_process() { runs "$work/$1/machine.process"; }

# inside NAME COMMAND...
inside() {
  local process
  process=$(first_process "$1") || return
  nsenter --target "$process" --mount --net --pid --ipc --uts \
    env -i PATH=/run/tools:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root "${@:2}"
}

# start NAME PROGRAM ARGS...: in the background; says all into the machine's log folder.
start() {
  local log=$work/$1/log/$2.log
  setsid nsenter --target "$(first_process "$1")" --mount --net --pid --ipc --uts \
    env -i PATH=/run/tools:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root "${@:2}" >>"$log" 2>&1 </dev/null 9<&- &
  printf '%s %s\n' $! "$(identity_of $!)" >"$work/$1/$2.process"
}

stop_machine() {
  local process
  process=$(first_process "$1") || return 0
  kill -KILL "$process"
  wait_for 30 "the end of $1" test ! -e "/proc/$process"
}

if [[ ${BASH_SOURCE[0]} == "$0" ]]; then
  set -euo pipefail
  become_machine "$@"
fi
