# The program itself: help, unknown commands, options that every command has, versions.
. "$(dirname "$0")/support.sh"

run
expect_code 2
expect_silent out
expect_err "usage: spikeport COMMAND"

for help in --help -h help; do
    run $help
    expect_code 0
    expect_silent err
    expect_out "devices"
    expect_out "version"
done

run help devices
expect_code 0
expect_out "usage: spikeport devices"
expect_silent err

run help nothing
expect_code 2
expect_silent out

run devics
expect_code 2
expect_silent out
expect_err 'unknown command "devics"; did you mean "devices"?'

run qqqqqq
expect_code 2
expect_err "spikeport --help"

run version
expect_code 0
expect_silent err
expect_out "spikeport 0."
expect_out "OpenCL target 1.2"
expect_out "CLBlast headers 1."

run --version
expect_code 0
expect_out "spikeport 0."

run version --json
expect_code 0
expect_out '{"spikeport":"'
expect_out '"opencl_target":"1.2"'

run version --jsn
expect_code 2
expect_silent out
expect_err 'unknown option "--jsn"; did you mean "--json"?'
expect_err 'usage: spikeport version [--json]'

run version --json=yes
expect_code 2
expect_err "--json takes no value"

run version extra
expect_code 2
expect_err '"extra" is one argument too many'

run version -x
expect_code 2
expect_err 'unknown option "-x"'

run version --bad --help
expect_code 2

run version --help --bad
expect_code 0
expect_silent err

if [ -w /dev/full ]; then
    called="version >/dev/full"
    code=0
    "$program" version >/dev/full 2>"$work/err" || code=$?
    expect_code 1
    expect_err "could not be written"
fi
