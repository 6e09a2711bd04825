# shellcheck shell=bash
# What every benchmark stands on; for them to source, from the root of the project. A PostgreSQL with `fsync` and `synchronous_commit` on
# and a Redis with an append-only file, each in the folder $work and on a free port ($pg, $redis); whatever is in `pids` ends with the
# script. Needs PostgreSQL's server programs ($server is their folder), redis-server and python3.
work=$(mktemp -d) pids=()
trap 'kill "${pids[@]}" 2>/dev/null || true; wait; rm -rf "$work"' EXIT
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
# The address that a program printed into this file.
address() { until grep -q 'listening on' "$1"; do sleep 0.05; done; sed -n 's#.*http://##p' "$1"; }
# Whatever the programs warned of, which a figure must not hide.
warnings() { [ ! -s "$work/log" ] || { echo 'warnings and errors meanwhile:'; sort "$work/log" | uniq -c | sort -rn | head -20; } >&2; }
as=(); [ "$(id -u)" != 0 ] || as=(setpriv --reuid=postgres --regid=postgres --init-groups)
server=$(echo /usr/lib/postgresql/*/bin); server=${server##* }
chmod 755 "$work"; mkdir "$work/pg"; [ "$(id -u)" != 0 ] || chown postgres "$work/pg"
pg=$(free_port) redis=$(free_port)
"${as[@]}" "$server/initdb" -D "$work/pg/data" -U postgres --auth=trust >/dev/null
"${as[@]}" "$server/postgres" -D "$work/pg/data" -p "$pg" -c listen_addresses=127.0.0.1 -c unix_socket_directories="$work/pg" \
  -c shared_buffers=512MB -c max_wal_size=2GB -c min_wal_size=2GB -c max_connections=1000 >"$work/pg.log" 2>&1 & pids+=($!)
redis-server --port "$redis" --bind 127.0.0.1 --save '' --appendonly yes --dir "$work" >"$work/redis.log" & pids+=($!)
until "$server/pg_isready" -q -h 127.0.0.1 -p "$pg"; do sleep 0.1; done
# Runs a statement.
sql() { "$server/psql" -qtA -h 127.0.0.1 -p "$pg" -U postgres -c "$1"; }
# Hundredths of a second that the host of a virtual machine took for others, and all there were.
ticks() { awk '/^cpu / { all = 0; for (i = 2; i <= 9; i++) all += $i; print $9, all }' /proc/stat; }
# The per cent that it took since `ticks` said this.
stolen() { echo "$1 $(ticks)" | awk '{ printf "%.1f", 100 * ($3 - $1) / ($4 - $2) }'; }
# KiB of memory of these processes, by a field of proc_pid_status(5).
resident() { local sum=0 pid; for pid in "${@:2}"; do sum=$((sum + $(awk "/^$1:/ { print \$2 }" "/proc/$pid/status"))); done; echo "$sum"; }
# What the kernel holds for itself in KiB, sockets included: slabs, stacks, page tables, and the buffers of TCP in pages of 4 KiB.
kernel() {
  local slabs buffers
  slabs=$(awk '/^(Slab|KernelStack|PageTables):/ { sum += $2 } END { print sum }' /proc/meminfo)
  buffers=$(awk '/^TCP:/ { print $NF * 4 }' /proc/net/sockstat)
  echo $((slabs + buffers))
}
# One line of results: what, how much, its unit, its floor (or null), and the per cent that were stolen.
figure() { jq -cn --arg figure "$1" --argjson value "$2" --arg unit "$3" --argjson floor "$4" --argjson stolen "$5" '$ARGS.named'; }
# shellcheck disable=SC2034,SC2154 # $bin is whoever sources this, $gateway is for it
# Starts a gateway on a free port; its address is in $gateway, and its process is the last of $pids.
start_gateway() { : >"$work/out"; "$bin/galley-gateway" >"$work/out" 2>>"$work/log" & pids+=($!); gateway=$(address "$work/out"); }
# Ends what was started since there were so many.
stop_since() { kill "${pids[@]:$1}" 2>/dev/null || true; wait "${pids[@]:$1}" || true; pids=("${pids[@]:0:$1}"); }
