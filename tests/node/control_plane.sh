# The machine `control`: certificates, etcd, API server, controller manager, scheduler.

make_certificates() {
  local node
  mkdir -m 700 "$work/pki"
  authority ca
  certificate ca apiserver /CN=kube-apiserver "subjectAltName=DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,\
DNS:kubernetes.default.svc,DNS:kubernetes.default.svc.cluster.local,IP:127.0.0.1,\
IP:$(machine_address control),IP:$(address 1 1)"
  certificate ca tokens /CN=tokens # for its keys alone
  authority front-ca
  certificate front-ca front-proxy /CN=front-proxy
  client admin /O=system:masters/CN=admin
  client kube-controller-manager /CN=system:kube-controller-manager
  client kube-scheduler /CN=system:kube-scheduler
  client kube-proxy /CN=system:kube-proxy
  client kube-router /O=system:masters/CN=kube-router
  for node in "${nodes[@]}"; do
    client "$node" "/O=system:nodes/CN=system:node:$node" "subjectAltName=DNS:$node,IP:$(machine_address "$node")"
  done
}

authority() {
  new_certificate "$1" -subj "/CN=grapevine-$1" -addext basicConstraints=critical,CA:TRUE \
    -addext keyUsage=critical,keyCertSign,cRLSign
}

# certificate AUTHORITY NAME SUBJECT [EXTENSION]
certificate() {
  new_certificate "$2" -subj "$3" -CA "$work/pki/$1.crt" -CAkey "$work/pki/$1.key" \
    -addext extendedKeyUsage=serverAuth,clientAuth ${4:+-addext "$4"}
}

new_certificate() {
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 365 \
    -config <(printf '[req]\ndistinguished_name=subject\n[subject]\n') "${@:2}" \
    -keyout "$work/pki/$1.key" -out "$work/pki/$1.crt" 2>"$work/pki/$1.log" ||
    die "no certificate for $1: $(<"$work/pki/$1.log")"
}

# client NAME SUBJECT [EXTENSION]: a certificate and the kubeconfig that uses it.
client() {
  certificate ca "$@"
  cat >"$work/pki/$1.kubeconfig" <<YAML
apiVersion: v1
kind: Config
clusters:
- name: grapevine
  cluster:
    server: https://$(machine_address control):6443
    certificate-authority-data: $(base64 -w0 "$work/pki/ca.crt")
users:
- name: $1
  user:
    client-certificate-data: $(base64 -w0 "$work/pki/$1.crt")
    client-key-data: $(base64 -w0 "$work/pki/$1.key")
contexts:
- name: grapevine
  context: {cluster: grapevine, user: $1}
current-context: grapevine
YAML
}

start_control_plane() {
  local here=/run/cluster/pki
  start control etcd --data-dir=/var/lib/etcd --unsafe-no-fsync \
    --listen-client-urls=http://127.0.0.1:2379 --advertise-client-urls=http://127.0.0.1:2379 \
    --listen-peer-urls=http://127.0.0.1:2380
  start control kube-apiserver --etcd-servers=http://127.0.0.1:2379 --advertise-address="$(machine_address control)" \
    --tls-cert-file=$here/apiserver.crt --tls-private-key-file=$here/apiserver.key --client-ca-file=$here/ca.crt \
    --authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction --allow-privileged \
    --service-cluster-ip-range="$(address 1 0)/24" --service-account-issuer=https://kubernetes.default.svc \
    --service-account-key-file=$here/tokens.crt --service-account-signing-key-file=$here/tokens.key \
    --kubelet-preferred-address-types=InternalIP --kubelet-certificate-authority=$here/ca.crt \
    --kubelet-client-certificate=$here/admin.crt --kubelet-client-key=$here/admin.key \
    --requestheader-client-ca-file=$here/front-ca.crt --requestheader-allowed-names=front-proxy \
    --requestheader-username-headers=X-Remote-User --requestheader-group-headers=X-Remote-Group \
    --requestheader-extra-headers-prefix=X-Remote-Extra- --proxy-client-cert-file=$here/front-proxy.crt \
    --proxy-client-key-file=$here/front-proxy.key
  wait_for 120 control/kube-apiserver kubectl get --raw /readyz
  start_client kube-controller-manager --use-service-account-credentials \
    --service-account-private-key-file=$here/tokens.key --root-ca-file=$here/ca.crt \
    --cluster-signing-cert-file=$here/ca.crt --cluster-signing-key-file=$here/ca.key
  start_client kube-scheduler
}

# start_client PROGRAM ARGS...: one that asks the API server itself who may ask it; alone, it needs no election.
start_client() {
  local kubeconfig=/run/cluster/pki/$1.kubeconfig
  start control "$1" --kubeconfig=$kubeconfig --authentication-kubeconfig=$kubeconfig \
    --authorization-kubeconfig=$kubeconfig --bind-address=127.0.0.1 --leader-elect=false "${@:2}"
}
