# Every recipe of the paper: the plan at its real size, whatever the device's memory, and two training steps on random input
# at a batch of two (ImageNet: one) whose loss is finite.
. "$(dirname "$0")/support.sh"
recipes=$(cd "$(dirname "$0")/../../recipes/paper" && pwd)
need_device
for file in "$recipes"/*.yaml; do
    name=$(basename "$file" .yaml)
    batch=2
    case $name in imagenet_*) batch=1 ;; esac
    run plan --brief --no-data --unlimited "$file"
    expect_code 0
    expect_out "device memory: "
    echo "$name: $(tail -n 1 "$work/out")"
    run bench --iterations 2 --warmup 0 --no-peaks --set batch=$batch --set eval_batch=$batch "$file"
    expect_code 0
    expect_out "training step"
done
