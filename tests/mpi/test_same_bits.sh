# 1, 2, 3 and 4 ranks, and two devices in one process, give the same bits after 20 mini-batches, under every schedule, with batch
# norm and dropout.
. "$(dirname "$0")/support.sh"
network='network=[{type: conv, out: 8, kernel: 3, padding: 1}, {type: batch_norm}, {type: lif}, {type: avg_pool, kernel: 2}, {type: flatten}, {type: dropout, p: 0.25}, {type: linear, out: 4}]'
set -- -s "$network" -s schedule.shards=4 -s data.count=320 -s data.train_limit=320 -s epochs=2 # 10 mini-batches an epoch
for method in sltt sltt-k bptt ottt ndot rate; do
    run train "$tiny" "$@" -s schedule.method=$method --out "$work/$method-1"
    expect_code 0
    for n in 2 3 4; do
        ranks $n train "$tiny" "$@" -s schedule.method=$method --out "$work/$method-$n"
        expect_code 0
        expect_err "ranks: $n, through"
        same "$work/$method-1" "$work/$method-$n"
        # the loss of each line too; what is timed differs
        for i in 1 $n; do
            sed 's/"samples_per_second":[^,]*,//; s/,"rank_[a-z]*":[^]]*]//g; s/"[a-z_]*seconds":[^,]*,//g; s/,"ranks":[0-9]*//
                s/"peak_bytes":[0-9]*,//' "$work/$method-$i/metrics.jsonl" >"$work/lines-$i"
        done
        cmp "$work/lines-1" "$work/lines-$n" || fail "the metrics differ"
        grep -q '"rank_wait":\[' "$work/$method-$n/metrics.jsonl" || fail "no waiting by rank in the metrics"
    done
    run train "$tiny" "$@" -s schedule.method=$method --device 0,0 --out "$work/$method-0"
    expect_code 0
    same "$work/$method-1" "$work/$method-0"
    echo "$launcher, $method: 1, 2, 3 and 4 ranks and two sessions of one process agree"
done

# Batch norms by running statistics, in training too.
for n in 1 4; do
    ranks $n train "$tiny" "$@" -s schedule.batch_norm=online --out "$work/online-$n"
    expect_code 0
done
same "$work/online-1" "$work/online-4"

# Adaptive SLTT-K draws from the spikes of all shards.
for n in 1 4; do
    ranks $n train "$tiny" "$@" -s schedule.method=sltt-k -s schedule.backprop_steps=adaptive --out "$work/adaptive-$n"
    expect_code 0
done
same "$work/adaptive-1" "$work/adaptive-4"

# Batch norms over all shards: the same bits on 1, 2 and 4 ranks, and the training of whole mini-batches but for rounding. The
# second norm is one that no neuron follows.
network='network=[{type: conv, out: 8, kernel: 3, padding: 1}, {type: batch_norm}, {type: lif}, {type: conv, out: 8, kernel: 3, padding: 1}, {type: batch_norm}, {type: avg_pool, kernel: 2}, {type: lif}, {type: flatten}, {type: linear, out: 4}]'
set -- -s "$network" -s data.count=128 -s data.train_limit=128 -s epochs=1
for method in sltt bptt rate; do
    run train "$tiny" "$@" -s schedule.method=$method --out "$work/whole-$method"
    expect_code 0
    for n in 1 2 4; do
        ranks $n train "$tiny" "$@" -s schedule.method=$method -s schedule.shards=4 -s schedule.sync_batch_norm=true \
            --out "$work/sync-$method-$n"
        expect_code 0
    done
    same "$work/sync-$method-1" "$work/sync-$method-2"
    same "$work/sync-$method-1" "$work/sync-$method-4"
    run diff "$work/whole-$method/checkpoint.safetensors" "$work/sync-$method-1/checkpoint.safetensors" --within 1e-4
    expect_code 0
done
ranks 3 train "$tiny" "$@" -s schedule.shards=4 -s schedule.sync_batch_norm=true --out "$work/uneven"
expect_code 3
expect_err "it has to be a multiple of the 3 ranks or devices"
