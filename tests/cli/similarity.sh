# A minute: SLTT's gradient against BPTT's at the start of training, on ResNet-18 and VGG-11. The expected means come from PyTorch
# autograd on other random input (float32, batch 8).
. "$(dirname "$0")/support.sh"
recipes=$(cd "$(dirname "$0")/../../recipes/bench" && pwd)
need_device

# expect_means NAME LAYERS MEAN.. for tau 1.1, 1.25, 2
expect_means() {
    run similarity "$recipes/similarity_$1.yaml" --tau 1.1,1.25,2 --iterations 1 --out "$work/$1"
    expect_code 0
    expect_out "mean of $2 layers"
    awk -F, -v a="$3" -v b="$4" -v c="$5" 'NR > 1 { want = $2 == 1.1 ? a : $2 == 1.25 ? b : c; d = $7 - want; n++
                      if (d > 0.02 || d < -0.02) { print "tau " $2 ": " $7 ", expected " want; exit 1 } }
             END { if (n != 3) exit 1 }' "$work/$1/means.csv" || fail "$1: the means of the layers are not as expected"
}

expect_means resnet18 20 0.980 0.909 0.638
expect_means vgg11 8 0.987 0.938 0.738
