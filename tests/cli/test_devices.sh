# spikeport devices where there is a device.
. "$(dirname "$0")/support.sh"
need_device

expect_silent err
expect_out "*  " # the chosen one is marked
expect_out "would be used"
expect_out "work group"

run devices --json
expect_code 0
expect_silent err
[ "$(grep -c '^{"index":.*}$' "$work/out")" -eq "$(wc -l <"$work/out")" ] || fail "a line is not an object"
[ "$(grep -c '"chosen":true,"why":"' "$work/out")" -eq 1 ] || fail "one device should be chosen"
expect_out '"global_bytes":'
expect_out '"max_work_item":['

run devices --device 0
expect_code 0
expect_out "device 0 would be used: \"0\": asked for by number"

run devices --device=0:0 -q
expect_code 0

run devices -d "no such device"
expect_code 4
expect_out "work group" # the list comes all the same
expect_err 'spikeport devices: error: no device fits "no such device"; there is 0 (0:0)'
expect_err "Choose by number"

run devices --json -d 99
expect_code 4
expect_out '"chosen":false,"why":null'
expect_err '"99"'

SPIKEPORT_DEVICE=nonsense
export SPIKEPORT_DEVICE
run devices
expect_code 4
expect_err 'SPIKEPORT_DEVICE="nonsense"'
run devices --device 0 # the option is stronger
expect_code 0
unset SPIKEPORT_DEVICE

run devices --device
expect_code 2
expect_silent out
expect_err "--device needs a value: --device SEL"

run devices --devise 0
expect_code 2
expect_err 'did you mean "--device"?'

run devices 0
expect_code 2
expect_err "one argument too many"
