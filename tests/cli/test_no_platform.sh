# A machine without any OpenCL driver: an empty folder of drivers emulates it.
. "$(dirname "$0")/support.sh"

mkdir "$work/vendors"
OCL_ICD_VENDORS=$work/vendors/
OPENCL_VENDOR_PATH=$work/vendors/
export OCL_ICD_VENDORS OPENCL_VENDOR_PATH

for option in "" --json --device=0 --device=gpu; do
    run devices $option
    expect_code 4
    expect_silent out
    expect_err "no OpenCL platform was found"
    expect_err pocl-opencl-icd
    expect_err intel-opencl-icd
    expect_err mesa-opencl-icd
    expect_err RUSTICL_ENABLE
    expect_err "OCL_ICD_VENDORS is set to \"$work/vendors/\""
done

# What needs no device works.
run version
expect_code 0
run devices --help
expect_code 0
