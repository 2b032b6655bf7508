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
    taught=
    case $name in *_ltl)
        run train "${file%_ltl.yaml}_relu.yaml" --out "$work/teacher" -s data.name=synthetic -s 'data.augment=[]' -s data.classes=10 \
            -s data.channels=3 -s data.height=32 -s data.width=32 -s data.count=4 -s data.test_limit=2 -s batch=2 -s eval_batch=2 -s epochs=1
        expect_code 0
        taught="--set teacher=$work/teacher" ;;
    esac
    # shellcheck disable=SC2086 # no words where there is no teacher
    run bench --iterations 2 --warmup 0 --no-peaks --set batch=$batch --set eval_batch=$batch $taught "$file"
    expect_code 0
    expect_out "training step"
done
