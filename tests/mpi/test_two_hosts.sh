# Two hosts: network namespaces that are joined by a cable, each with a host name of its own, and messages over TCP. The launcher
# starts its part on the other host by a program in place of ssh. Needs root and ip (iproute2).
. "$(dirname "$0")/support.sh"
a=spm$$a b=spm$$b
ip netns add $a 2>/dev/null || { echo "skipped: network namespaces cannot be made here"; exit 77; }
trap 'ip netns del $a; ip netns del $b 2>/dev/null; rm -rf "$work"' EXIT
ip netns add $b
ip link add eth0 netns $a type veth peer name eth0 netns $b
ip netns exec $a ip addr add 10.77.0.1/24 dev eth0
ip netns exec $b ip addr add 10.77.0.2/24 dev eth0
for n in $a $b; do
    ip netns exec $n ip link set lo up
    ip netns exec $n ip link set eth0 up
done
for n in $a $b; do # a link is up a moment after it has been told so; UCX does not take it before
    tries=0
    until ip -n $n link show eth0 | grep -q "state UP"; do
        tries=$((tries + 1))
        [ $tries -lt 100 ] || { echo "FAILED: eth0 of $n does not come up"; exit 1; }
        sleep 0.05
    done
done
cat >"$work/agent" <<END
#!/bin/sh
# as ssh [options] HOST COMMAND
while [ "\${1#-}" != "\$1" ]; do shift; done
case \$1 in 10.77.0.1) ns=$a ;; *) ns=$b ;; esac
shift
exec ip netns exec \$ns unshare -u sh -c "hostname \$ns; \$*"
END
chmod +x "$work/agent"
export UCX_TLS=tcp,self,sm UCX_NET_DEVICES=eth0
if [ "$launcher" = mpich ]; then
    set -- -launcher ssh -launcher-exec "$work/agent" -hosts 10.77.0.1,10.77.0.2 -ppn 2 -iface eth0
else
    set -- --mca plm_rsh_agent "$work/agent" --mca plm_rsh_no_tree_spawn 1 --mca pml ob1 --mca btl tcp,self \
        --mca btl_tcp_if_include eth0 --mca oob_tcp_if_include eth0 --host 10.77.0.1:2,10.77.0.2:2 \
        -x POCL_CACHE_DIR -x SPIKEPORT_CACHE_DIR
fi
run train "$tiny" -s schedule.shards=4 -s epochs=1 --out "$work/one"
expect_code 0
called="train on 2 hosts with 2 ranks each, $launcher"
code=0
timeout 300 ip netns exec $a unshare -u sh -c "hostname $a; exec \"\$@\"" sh "$mpirun" "$@" -n 4 "$program" train "$tiny" \
    -s schedule.shards=4 -s epochs=1 --out "$work/two" >"$work/out" 2>"$work/err" </dev/null || code=$?
expect_code 0
expect_err "ranks: 4, through"
same "$work/one" "$work/two"

echo "$launcher: two ranks on each of two hosts agree with one process"
