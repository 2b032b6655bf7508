# A rank that fails, hangs or is killed ends all within a stated time, one message names it, and the last checkpoint is whole;
# ranks that would compute something else are refused.
. "$(dirname "$0")/support.sh"

# two A -- B: rank 0 with the arguments A, rank 1 with B.
two() {
    called="$* (on 2 ranks, $launcher)"
    first=
    while [ "$1" != -- ]; do
        first="$first $1"
        shift
    done
    shift
    code=0
    # shellcheck disable=SC2086 # words
    timeout 120 "$mpirun" -n 1 "$program" train "$tiny" $first : -n 1 "$program" train "$tiny" "$@" >"$work/out" 2>"$work/err" \
        </dev/null || code=$?
}
once() {
    [ "$(grep -c "spikeport train: error:" "$work/err")" = 1 ] || fail "one message was expected"
    expect_err "error: rank 1 (host "
}

two -s seed=7 --out "$work/a" -- -s seed=8 --out "$work/a"
[ "$code" -ne 0 ] || fail "another recipe was accepted"
once
expect_err 'the recipe differs'
expect_err '"seed: 7", this rank has "seed: 8"'
two --out "$work/b" -- --out "$work/b" --plugin '*=reference'
[ "$code" -ne 0 ] || fail "another set of kernels was accepted"
once
expect_err 'the set of kernels differs'
two --out "$work/c" -- --out "$work/c" --device 99
[ "$code" -ne 0 ] || fail "rank 1 has no device"
once
expect_err 'no device fits "99"'

# begin NAME [OPTIONS]: a long training on 3 ranks, in the background, that has written a checkpoint.
begin() {
    name=$1
    shift
    called="train (on 3 ranks, $launcher, to be $name)"
    "$mpirun" -n 3 "$program" train "$tiny" -s schedule.shards=4 -s epochs=100000 -s checkpoint_every=2 "$@" --out "$work/$name" \
        >"$work/out" 2>"$work/err" </dev/null &
    job=$!
    tries=0
    while [ ! -e "$work/$name/checkpoint.safetensors" ]; do
        tries=$((tries + 1))
        [ $tries -lt 600 ] || fail "no checkpoint after 120 s"
        sleep 0.2
    done
}
# pid_of RANK NAME
pid_of() {
    for p in /proc/[0-9]*; do
        { tr '\0' ' ' <"$p/cmdline" | grep -q "^$program .*$work/$2" &&
            tr '\0' '\n' <"$p/environ" | grep -qE "^(OMPI_COMM_WORLD_RANK|PMI_RANK)=$1\$" && echo "${p#/proc/}"; } 2>/dev/null
    done
    return 0
}
job=
finish() {
    # shellcheck disable=SC2046 # numbers
    kill -9 $job $(pid_of '[0-9]' '') 2>/dev/null
    rm -rf "$work"
}
trap finish EXIT

# ends SECONDS: the job ends, not with success.
ends() {
    (trap 'kill $nap; exit' TERM; sleep "$1" & nap=$!; wait $nap; kill -9 $job) >/dev/null 2>&1 &
    watch=$!
    code=0
    wait $job || code=$?
    job=
    kill $watch 2>/dev/null || fail "the ranks did not end within $1 s"
    [ $code -ne 0 ] || fail "success"
}
goes_on() {
    ranks 2 train --resume "$work/$1" --max-iterations 1
    expect_code 130
    expect_err "saved. Continue with"
}

for rank in 0 2; do
    begin killed$rank
    kill -9 "$(pid_of $rank killed$rank)"
    ends 30
    grep -qi "kill" "$work/err" "$work/out" || fail "the launcher does not say that a rank was killed"
    sed "s/^/killed rank $rank: /" "$work/err" | tail -n 12
    goes_on killed$rank
done

# The launcher is asked to end, as by a batch system: that of Open MPI gives 1 then, that of MPICH the code of the ranks.
begin stopped
kill -TERM $job
ends 30
expect_err "saved. Continue with"
[ "$launcher" != mpich ] || expect_code 130
goes_on stopped

begin hung --rank-timeout 10
kill -STOP "$(pid_of 1 hung)"
ends 60
[ "$(grep -c "error: " "$work/err")" = 1 ] || fail "one message was expected"
expect_err "no answer within 10 s (--rank-timeout) from rank 1 (host "
goes_on hung

# The launcher is killed: nobody tells the ranks, and they end all the same.
begin orphaned
kill -9 $job
wait $job || true
job=
tries=0
while [ -n "$(pid_of '[0-9]' orphaned)" ]; do
    tries=$((tries + 1))
    [ $tries -lt 60 ] || fail "ranks run on without their launcher"
    sleep 1
done
goes_on orphaned

# faulty FAULT N ...: as ranks, with a fault of fault_mpi.c.
faulty() {
    fault=$1
    shift
    export SPIKEPORT_MPI_FAULT="$fault" LD_PRELOAD="$(dirname "$program")/../tests/mpi/fault_$launcher.so"
    ranks "$@"
    unset SPIKEPORT_MPI_FAULT LD_PRELOAD
}

# All is written when MPI_Finalize fails, or does not come back: the launcher ends with success.
for kind in fail 1000; do
    faulty 1:Finalize:1:$kind 2 train "$tiny" -s schedule.shards=2 -s epochs=1 -s data.count=64 -s data.train_limit=64 --out "$work/end$kind"
    expect_code 0
done

# The loop of docs/DISTRIBUTED.md: what is left of the ranks continues to the bits of an untouched training.
set -- -s schedule.shards=4 -s data.count=320 -s data.train_limit=320 -s epochs=1 -s checkpoint_every=2
run train "$tiny" "$@" --out "$work/untouched"
expect_code 0
faulty 2:Isend:40:kill 3 train "$tiny" "$@" --out "$work/looped"
[ "$code" -ne 0 ] || fail "success without rank 2"
tries=0
until [ "$code" -eq 0 ]; do
    tries=$((tries + 1))
    [ $tries -le 5 ] || fail "the training does not end"
    ranks 2 train --resume "$work/looped"
done
same "$work/untouched" "$work/looped"

faulty 1:Isend:*:0.1 2 train "$tiny" "$@" --out "$work/slow"
expect_code 0
expect_err "epoch 1: the other ranks wait for rank 1 (host "
