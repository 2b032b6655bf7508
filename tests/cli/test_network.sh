# spikeport network: the list, a network file, wrong use; and recipes/networks holds exactly what the program writes.
. "$(dirname "$0")/support.sh"
recipes=$(cd "$(dirname "$0")/../../recipes" && pwd)

run network --list
expect_code 0
expect_silent err
expect_out "nf_resnet101"
expect_out "sew_resnet34"

run network resnet18 --classes 100 --channels 3 --width 0.5
expect_code 0
expect_silent err
expect_out "# spikeport network resnet18 --classes 100 --channels 3 --width 0.5"
expect_out "- {type: conv, in: 3, out: 32, kernel: 3, padding: 1, weight_init: fan_out_normal, bias: false}"
expect_out "- {type: linear, out: 100, bias_init: zeros}"

run network vgg11_bn --dropout 0.25
expect_code 0
expect_out "- {type: dropout, p: 0.25}"
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
expect_err "dropout is 1; choose 0 to 0.999"
run network resnet18 --dropout half
expect_code 2
expect_err '--dropout "half" is not a number'
run network resnet18 --width -1
expect_code 2
expect_err '--width "-1" is not a number above 0'
run network resnet18 --width inf
expect_code 2

files=0
for file in "$recipes"/networks/*.yaml; do
    command=$(sed -n '1s/^# spikeport //p' "$file")
    [ -n "$command" ] || fail "$file does not begin with the command that writes it"
    run $command
    expect_code 0
    cmp "$work/out" "$file" || fail "$file is not what the program writes; put its output there"
    files=$((files + 1))
done
[ "$files" -ge 17 ] || fail "only $files network files"
