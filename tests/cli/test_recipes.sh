# Every recipe is read whole; plans without the data set's files; weights of another run as the start.
. "$(dirname "$0")/support.sh"
recipes=$(cd "$(dirname "$0")/../../recipes" && pwd)
unset SPIKEPORT_DATA

files=0
for file in "$recipes"/*.yaml "$recipes"/paper/*.yaml "$recipes"/cpu/*.yaml; do
    run train --print-recipe "$file"
    expect_code 0
    expect_silent err
    expect_out "name: "
    # what is printed is a recipe that stands on its own, and prints the same
    cp "$work/out" "$work/printed.yaml"
    run train --print-recipe "$work/printed.yaml"
    expect_code 0
    cmp "$work/out" "$work/printed.yaml" || fail "$file printed, read and printed again is another recipe"
    files=$((files + 1))
done
[ "$files" -ge 49 ] || fail "only $files recipes"

# A few values of the paper that a wrong base would change
value() {
    run train --print-recipe "$recipes/paper/$1.yaml"
    expect_code 0
    expect_out "$2"
}
value cifar100_resnet18_bptt "method: bptt"
value cifar100_resnet18_bptt "weight_decay: 0.0005"
value cifar100_resnet18_bptt "mean: [0.5071"
value dvs_gesture_vgg11_sltt4 "backprop_steps: 4"
value dvs_gesture_vgg11_sltt4 "time_steps: 20"
value dvs_cifar10_vgg11_sltt_augmented "flip: 0.5, roll: 5"
value dvs_cifar10_vgg11_sltt_augmented "resize: pil"
value dvs_cifar10_vgg11_sltt_augmented "normalise: max"
value imagenet_nfrn101_pretrain "time_steps: 1"
value imagenet_nfrn101_sltt1 "backprop_steps: 1"
value imagenet_nfrn101_sltt1 "time_steps: 6"
value imagenet_nfrn101_sltt1 "lr: 0.001"
value imagenet_nfrn101_sltt1 "init_from: \"runs/imagenet_nfrn101_pretrain/best.safetensors\""
value imagenet_nfrn101_sltt1 "epochs: 30"
value imagenet_nfrn34_ottt "epochs: 100"
value dvs_gesture_vgg11ws_ottt "name: adamw"

need_device

# The files are not there: the plan goes on with the shape that the set is known to have, and says so.
run plan --brief --set batch=2 --set eval_batch=2 --set data.path="$work" "$recipes/cpu/cifar10_vgg9_sltt.yaml"
expect_code 0
expect_err "data set \"cifar10\""
expect_err "going on without the files, with what is known of the set: 3x32x32"
expect_out "device memory: "
run plan --no-data --json --set batch=2 --set eval_batch=2 "$recipes/cpu/nmnist_conv_bptt.yaml"
expect_code 0
expect_out '"parameters":268602'
! grep -q "going on" "$work/err" || fail "--no-data looked for the files"
# Too large for any device: refused, or shown when asked.
run plan --brief --no-data --set batch=2048 --set data.size=256 "$recipes/cpu/dvs_objects_vgg9_bptt.yaml"
expect_code 4
run plan --brief --no-data --unlimited --set batch=4096 "$recipes/cpu/nmnist_conv_bptt.yaml"
expect_code 0
expect_out "bytes planned; the device has"
# A recurrent network of several neuron models, on noise of the shape of SHD: two steps by each method
for method in sltt bptt; do
    run plan --brief --no-data "$recipes/cpu/shd_recurrent_$method.yaml"
    expect_code 0
    run train --out "$work/shd_$method" --max-iterations 2 --set data.name=synthetic --set data.channels=700 --set data.height=1 \
        --set data.width=1 --set data.classes=20 --set data.count=64 --set data.frames=100 "$recipes/cpu/shd_recurrent_$method.yaml"
    expect_code 130
    grep -q '"1.recurrent.weight"' "$work/shd_$method/checkpoint.safetensors" || fail "no recurrent weight in the checkpoint"
    grep -q '"3.w"' "$work/shd_$method/checkpoint.safetensors" || fail "no learnt leak in the checkpoint"
done
# A set of any shape cannot be known.
run plan --set data.name=idx --set data.path="$work" "$recipes/paper/cifar10_resnet18_sltt.yaml"
expect_code 7
# Training needs the data.
run train --out "$work/t" --set data.path="$work" "$recipes/paper/cifar10_resnet18_sltt.yaml"
expect_code 7

# init_from: weights of another run, a fresh optimizer and epoch count.
tiny="$recipes/synthetic_tiny.yaml"
run train --out "$work/first" --set epochs=1 "$tiny"
expect_code 0
run train --out "$work/zero" --set epochs=1 --set optimizer.lr=0 --set init_from="$work/first/checkpoint.safetensors" "$tiny"
expect_code 0
accuracy() {
    sed -n 's/.*"event": *"epoch".*"test_accuracy": *\([0-9.e-]*\).*/\1/p' "$work/$1/metrics.jsonl" | tail -n 1
}
[ -n "$(accuracy first)" ] || fail "no test accuracy in metrics.jsonl"
run train --out "$work/scratch" --set epochs=1 --set optimizer.lr=0 "$tiny"
expect_code 0
[ "$(accuracy zero)" != "$(accuracy scratch)" ] || fail "init_from changed nothing"
run train --out "$work/other" --set epochs=1 --set init_from="$work/first/checkpoint.safetensors" --set network.0.out=16 "$tiny"
expect_code 7
expect_err "init_from: "
expect_err '"0.weight" is 8x2x3x3, the network'"'"'s is 16x2x3x3'
run train --out "$work/other" --set epochs=1 --set init_from="$work/nothing.safetensors" "$tiny"
[ "$code" -ne 0 ] || fail "a missing checkpoint was accepted"
expect_err "init_from: "
expect_err "nothing.safetensors"
# A run that is continued has its own weights; the other run may be gone by then.
run train --out "$work/short" --max-iterations 3 --set init_from="$work/first/checkpoint.safetensors" "$tiny"
expect_code 130
rm -r "$work/first"
run train --resume "$work/short" --max-iterations 1
expect_code 130
