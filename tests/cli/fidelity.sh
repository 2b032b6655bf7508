# Half a minute: SLTT's gradient on ResNet-18 against BPTT's at the start of training. The expected means come from PyTorch
# autograd on other random input of the same kind (float32, batch 8).
. "$(dirname "$0")/support.sh"
recipe=$(cd "$(dirname "$0")/../../recipes/bench" && pwd)/fidelity_resnet18.yaml
need_device
run fidelity "$recipe" --tau 1.1,1.25,2 --iterations 1 --out "$work/f"
expect_code 0
expect_out "mean of 20 layers"
awk -F, 'NR > 1 { want = $2 == 1.1 ? 0.980 : $2 == 1.25 ? 0.909 : 0.638; d = $7 - want; n++
                  if (d > 0.02 || d < -0.02) { print "tau " $2 ": " $7 ", expected " want; exit 1 } }
         END { if (n != 3) exit 1 }' "$work/f/means.csv" || fail "the means of the layers are not as expected"
