# spikeport network: the list, a network with changes, a file of one's own, wrong use.
. "$(dirname "$0")/support.sh"

run network --list
expect_code 0
expect_silent err
expect_out "nf_resnet101"
expect_out "sew_resnet34"

run network resnet18 --classes 100 --channels 3 --width 0.5
expect_code 0
expect_silent err
expect_out "- {type: conv, in: 3, out: 32, kernel: 3, stride: 1, padding: 1, dilation: 1, groups: 1, bias: false, weight_init: fan_out_normal}"
expect_out "- {type: linear, out: 100, bias: true, weight_init: fan_in_uniform, bias_init: zeros}"
cp "$work/out" "$work/half.yaml"
run network "$work/half.yaml"
expect_code 0
cmp "$work/out" "$work/half.yaml" || fail "a printed network is not read back to the same one"

run network vgg11_bn --dropout 0.25
expect_code 0
expect_out "- {type: dropout, p: 0.25,"
run network vgg11_bn --dropout 0
expect_code 0
! grep -q dropout "$work/out" || fail "dropout of nothing was written"

run network
expect_code 2
expect_silent out
expect_err "name a network; --list shows them"
run network resnet1
expect_code 2
expect_silent out
expect_err 'there is no network "resnet1"; did you mean "resnet18"?'
run network resnet18 --classes 1
expect_code 2
run network resnet18 --dropout 1
expect_code 2
expect_err '--dropout "1" is not a number from 0 to 0.999'
run network resnet18 --dropout half
expect_code 2
expect_err '--dropout "half" is not a number'
run network resnet18 --width -1
expect_code 2
expect_err '--width "-1" is not a number above 0'
run network resnet18 --width inf
expect_code 2
