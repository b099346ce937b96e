#!/bin/sh
# Makes an authority and a certificate for each host of compose.yaml in ./tls
# (beside this script), for trying out. In production your authority signs them.
set -eu
cd "$(dirname "$0")"
umask 077
mkdir -p tls
cd tls
[ -f ca.crt ] || openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj "/O=Hutong/CN=authority" -keyout ca.key -out ca.crt
for host in hutong nats-0 nats-1 nats-2 config-0 config-1 config-2 shard-a-0 shard-a-1 shard-a-2 shard-b-0 shard-b-1 shard-b-2 mongos-0; do
  [ -f "$host.crt" ] && continue
  names="DNS:$host,DNS:localhost,IP:127.0.0.1"
  [ "$host" = hutong ] && names="$names,DNS:node-0,DNS:node-1,DNS:node-2"
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/O=Hutong/OU=nodes/CN=$host" -keyout "$host.key" -out "$host.csr"
  printf 'subjectAltName=%s\nextendedKeyUsage=serverAuth,clientAuth\n' "$names" > "$host.ext"
  openssl x509 -req -in "$host.csr" -CA ca.crt -CAkey ca.key -CAcreateserial -days 825 -extfile "$host.ext" -out "$host.crt"
  rm "$host.csr" "$host.ext"
done
# The exchange and NATS run as users of their own.
chmod 755 . && chmod 644 ./*.crt && chmod 644 hutong.key nats-*.key
