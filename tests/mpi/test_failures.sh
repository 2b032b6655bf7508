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
# ends SECONDS: the job ends, not with success.
ends() {
    (sleep "$1"; kill -9 $job 2>/dev/null) &
    watch=$!
    code=0
    wait $job || code=$?
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

begin hung --rank-timeout 3
kill -STOP "$(pid_of 1 hung)"
ends 40
[ "$(grep -c "error: " "$work/err")" = 1 ] || fail "one message was expected"
expect_err "no answer within 3 s (--rank-timeout) from rank 1 (host "
goes_on hung
