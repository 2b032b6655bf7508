# spikeport plan: text, JSON, and memory in the number of time steps.
. "$(dirname "$0")/support.sh"
recipe=$(cd "$(dirname "$0")/../../recipes" && pwd)/synthetic_tiny.yaml

number() { # KEY: of the JSON line on stdout
    sed -n "s/.*\"$1\":\([0-9]*\),.*/\1/p" "$work/out"
}

run plan
expect_code 2
run plan "$recipe" --set batc=3
expect_code 3
expect_err 'did you mean "batch"?'

# without a device, also where no OpenCL platform is found
OCL_ICD_VENDORS=/nonexistent run plan "$recipe" --no-device
expect_code 0
expect_out "plan: sltt, 3 time steps, batch 32, without a device"
expect_out "none chosen"
expect_out "timeline: begin, forward+backward 0 to 2, end, then update"
expect_out "2 membrane"
run plan "$recipe" --no-device --json
expect_code 0
expect_out '"device":null'
expect_out '"variant":null'
run plan "$recipe" --no-device --brief --set schedule.shards=4
expect_code 0
expect_out "this is one of 4 shards of a mini-batch, 8 of its 32 samples; a device runs its shards one after the other"
run plan "$recipe" --no-device --json --set schedule.shards=4 --set schedule.sync_batch_norm=true
expect_code 0
expect_out '"shards":4'
expect_out '"shards_at_once":4'
bytes=$(number planned_bytes)
run plan "$recipe" --no-device --brief --set schedule.shards=4 --set schedule.sync_batch_norm=true
expect_out "they run in step: one device needs $((4 * bytes)) bytes for all of them"
run plan "$recipe" --no-device --device 0
expect_code 2
run plan "$recipe" --no-device --as gpu
expect_code 2
run plan "$recipe" --as tpu
expect_code 2

need_device
run plan "$recipe"
expect_code 0
expect_out "684 parameters"
expect_out "segment forward+backward"
expect_out "conv.forward"
expect_out "launches a mini-batch"
expect_out "2 sum of error signals"
expect_out "one segment"
run plan "$recipe" --brief
expect_code 0
expect_out "plan: sltt, 3 time steps, batch 32"
expect_out "plan: eval, 3 time steps"
if grep -q "segment " "$work/out"; then fail "--brief prints segments"; fi
run plan "$recipe" --plugin neuron.trace=reference
expect_code 0
expect_err "forced kernel neuron.trace=reference is not used: no step of this network asks for it"
run plan "$recipe" --plugin '*=reference'
expect_code 0
expect_out "reference:conv_forward__naive"
run plan "$recipe" --plugin '*=reference' --as gpu --json
expect_code 0
expect_out '"op":"conv.forward/1","variant":"reference:conv_forward__naive"'
expect_out '"runs":3' # of three time steps

planned() { # METHOD T: device bytes of the plan, which are those that were allocated
    drawn=
    [ "$1" = sltt-k ] && drawn="-s schedule.backprop_steps=2"
    # shellcheck disable=SC2086 # no words where no steps are drawn
    run plan "$recipe" --json -s schedule.method="$1" -s schedule.time_steps="$2" $drawn
    expect_code 0
    [ "$(wc -l <"$work/out")" -eq 1 ] || fail "one line was expected"
    bytes=$(number planned_bytes)
    [ -n "$bytes" ] && [ "$bytes" -gt 1000 ] && [ "$(number allocated_bytes)" = "$bytes" ] ||
        fail "planned \"$bytes\", allocated \"$(number allocated_bytes)\""
}
for method in sltt sltt-k ottt ndot; do
    planned $method 5
    at5=$bytes
    planned $method 16
    [ "$bytes" -eq "$at5" ] || fail "$at5 bytes at 5 steps, $bytes at 16"
    planned $method 20 # from 17 steps on the potentials of the first neurons are kept: neuron.forward_static
    at20=$bytes
    [ "$at20" -ge "$at5" ] || fail "$at5 bytes at 5 steps, $at20 at 20"
    planned $method 50
    [ "$bytes" -eq "$at20" ] || fail "$at20 bytes at 20 steps, $bytes at 50"
done
# adaptive: also the spike counters, 256 bytes a neuron layer and time step
adaptive() { # T
    run plan "$recipe" --json -s schedule.method=sltt-k -s schedule.time_steps="$1" -s schedule.backprop_steps=adaptive
    expect_code 0
    bytes=$(number planned_bytes)
    [ "$(number allocated_bytes)" = "$bytes" ] || fail "planned \"$bytes\", allocated \"$(number allocated_bytes)\""
}
adaptive 5
at5=$bytes
adaptive 50
[ "$bytes" -eq $((at5 + 45 * 256)) ] || fail "adaptive sltt-k: $at5 bytes at 5 steps, $bytes at 50"
planned bptt 20
at20=$bytes
planned bptt 35
at35=$bytes
planned bptt 50
[ "$at35" -gt "$at20" ] && [ $((bytes - at35)) -eq $((at35 - at20)) ] || fail "bptt: $at20, $at35, $bytes bytes at 20, 35, 50 steps"

# Sizes that do not fit: 3 where the description itself cannot be counted, 4 where the device cannot hold it.
plan_network() { # EXPECTED BATCH SIDE LAYERS...
    expected=$1
    printf '%s\n' "data: {name: synthetic, classes: 4, channels: 1, height: $3, width: $3, count: 4194304}" \
        "batch: $2" "schedule: {time_steps: 2}" "network:" >"$work/size.yaml"
    shift 3
    for layer in "$@" "{type: flatten}" "{type: linear, out: 4}"; do echo "  - $layer" >>"$work/size.yaml"; done
    run plan "$work/size.yaml"
    expect_code "$expected"
}
wide="{type: conv, out: 16777216, kernel: 1, bias: false}"
plan_network 3 4 1 "$wide" "{type: conv, out: 16777216, kernel: 4096, padding: 2048, stride: 4096, bias: false}"
expect_err "layer 1: 1.weight has 16777216 x 16777216 x 4096 x 4096 numbers"
plan_network 4 1048576 1 "{type: conv, out: 262144, kernel: 2, padding: 2048, bias: false}" \
    "{type: conv, out: 4, kernel: 1, stride: 4096, bias: false}"
expect_err '"0 output"'
plan_network 4 512 4096 "{type: conv, out: 4, kernel: 3, stride: 4096}"
expect_err "use a smaller batch"
plan_network 4 4 1 "{type: linear, out: 16777216}" "{type: linear, out: 16777216}"
expect_err "needs"

# Batch norm over one value a channel has no deviation: refused for training, also as a share of a batch.
plan_network 3 1 1 "{type: conv, out: 8, kernel: 1}" "{type: batch_norm}"
expect_err "layer 1: batch norm needs more than one value per channel"
plan_network 0 2 1 "{type: conv, out: 8, kernel: 1}" "{type: batch_norm}"
plan_network 0 1 2 "{type: conv, out: 8, kernel: 1}" "{type: batch_norm}"
