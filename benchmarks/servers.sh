# shellcheck shell=bash
# The servers of every benchmark; sourced from the root of the project. Starts a PostgreSQL with
# `fsync` and `synchronous_commit` on and a Redis with an append-only file. Both keep their files in
# the folder $work and listen on free ports ($pg, $redis), with TLS, too (Redis at $redis_tls, the
# authority's certificate is $work/ca.pem). At the end of the script every process in `pids` is
# stopped. Needs PostgreSQL's server programs ($server is their folder), redis-server, openssl and
# python3.
work=$(mktemp -d) pids=()
trap 'kill "${pids[@]}" 2>/dev/null || true; wait; rm -rf "$work"' EXIT
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
# Prints the address that a program has written to this file, once it is there.
address() { until grep -q 'listening on' "$1"; do sleep 0.05; done; sed -n 's#.*http://##p' "$1"; }
# Prints the warnings and errors of the programs, which a figure must not hide.
warnings() { [ ! -s "$work/log" ] || { echo 'warnings and errors meanwhile:'; sort "$work/log" | uniq -c | sort -rn | head -20; } >&2; }
as=(); [ "$(id -u)" != 0 ] || as=(setpriv --reuid=postgres --regid=postgres --init-groups)
server=$(echo /usr/lib/postgresql/*/bin); server=${server##* }
chmod 755 "$work"; mkdir "$work/pg"
# shellcheck disable=SC2034 # the sourcing script uses $redis_tls
pg=$(free_port) redis=$(free_port) redis_tls=$(free_port)
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost \
  -addext basicConstraints=critical,CA:FALSE -keyout "$work/pg/key.pem" -out "$work/ca.pem" 2>/dev/null
cp "$work/pg/key.pem" "$work/key.pem"; chmod 600 "$work/pg/key.pem"; [ "$(id -u)" != 0 ] || chown -R postgres "$work/pg"
"${as[@]}" "$server/initdb" -D "$work/pg/data" -U postgres --auth=trust >/dev/null
"${as[@]}" "$server/postgres" -D "$work/pg/data" -p "$pg" -c listen_addresses=127.0.0.1 -c unix_socket_directories="$work/pg" \
  -c shared_buffers=512MB -c max_wal_size=2GB -c min_wal_size=2GB -c max_connections=1000 \
  -c ssl=on -c ssl_cert_file="$work/ca.pem" -c ssl_key_file="$work/pg/key.pem" >"$work/pg.log" 2>&1 & pids+=($!)
redis-server --port "$redis" --tls-port "$redis_tls" --tls-cert-file "$work/ca.pem" --tls-key-file "$work/key.pem" --tls-ca-cert-file "$work/ca.pem" \
  --tls-auth-clients no --bind 127.0.0.1 --save '' --appendonly yes --dir "$work" >"$work/redis.log" & pids+=($!)
until "$server/pg_isready" -q -h 127.0.0.1 -p "$pg"; do sleep 0.1; done
# Runs an SQL statement.
sql() { "$server/psql" -qtA -h 127.0.0.1 -p "$pg" -U postgres -c "$1"; }
# Prints two totals in ticks of 10 ms: the processor time that the host of a virtual machine took
# for others, and all processor time, idle time included.
ticks() { awk '/^cpu / { all = 0; for (i = 2; i <= 9; i++) all += $i; print $9, all }' /proc/stat; }
# Prints the percentage of processor time that the host took since `ticks` printed $1.
stolen() { echo "$1 $(ticks)" | awk '{ printf "%.1f", 100 * ($3 - $1) / ($4 - $2) }'; }
# Prints the memory of these processes in KiB, as a sum of one field of proc_pid_status(5).
resident() { local sum=0 pid; for pid in "${@:2}"; do sum=$((sum + $(awk "/^$1:/ { print \$2 }" "/proc/$pid/status"))); done; echo "$sum"; }
# Prints the memory of the kernel in KiB, sockets included: slabs, stacks, page tables and TCP
# buffers, which are counted in pages of 4 KiB.
kernel() {
  local slabs buffers
  slabs=$(awk '/^(Slab|KernelStack|PageTables):/ { sum += $2 } END { print sum }' /proc/meminfo)
  buffers=$(awk '/^TCP:/ { print $NF * 4 }' /proc/net/sockstat)
  echo $((slabs + buffers))
}
# Prints a result as one JSON line: name, value, unit, baseline (or null), percentage of stolen
# time.
figure() { jq -cn --arg figure "$1" --argjson value "$2" --arg unit "$3" --argjson baseline "$4" --argjson stolen "$5" '$ARGS.named'; }
# shellcheck disable=SC2034,SC2154 # the sourcing script sets $bin and uses $gateway
# Starts a gateway on a free port. Its address is in $gateway, its process id is the last of $pids.
start_gateway() { : >"$work/out"; "$bin/galley-gateway" >"$work/out" 2>>"$work/log" & pids+=($!); gateway=$(address "$work/out"); }
# Stops the processes in $pids from index $1 on.
stop_since() { kill "${pids[@]:$1}" 2>/dev/null || true; wait "${pids[@]:$1}" || true; pids=("${pids[@]:0:$1}"); }
