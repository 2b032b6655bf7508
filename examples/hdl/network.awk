# Wires the layers of an export one behind the other. Reads layers.txt, or its first line and that of one layer; writes
# `network` (a design: module spiking_network) and `checks` (for a simulation: module checks, which compares what every layer
# puts out with its golden vectors).
function put(text) { design = design text "\n" }

NR == 1 { # "samples N time_steps N"
    steps = ".SAMPLES(" $2 "), .TIME_STEPS(" $4 ")"
    next
}
{ # NUMBER NAME MODULE PARAMETER=VALUE...
    n = $1
    neurons = $3 == "spiking_layer"
    parameters = ""
    for (i = 4; i <= NF; i++) {
        split($i, part, "=")
        p[part[1]] = part[2]
        parameters = parameters (i > 4 ? ", " : "") "." part[1] "(" part[2] ")"
    }
    bits = neurons ? 1 : p["SUM_BITS"]
    u_bits = neurons ? p["U_BITS"] : 1
    put("\n    wire valid" n ", done" n ";")
    put("    wire [31:0] in_addr" n ", addr" n ";")
    put("    wire [" p["IN_BITS"] - 1 ":0] in_data" n ";")
    put("    wire [" bits - 1 ":0] data" n ";")
    put("    wire signed [" u_bits - 1 ":0] u" n ";")
    if (NR == 2) {
        in_bits = p["IN_BITS"]
        start = "start"
        put("    assign in_addr = in_addr" n ", in_data" n " = in_data;")
    } else
        put("    activations #(.SIZE(" size "), .BITS(" p["IN_BITS"] ")) between" n " (.clk(clk), .write(valid" last \
            "), .write_addr(addr" last "),\n        .write_data(data" last "), .read_addr(in_addr" n "), .read_data(in_data" n "));")
    put("    " $3 " #(" parameters (neurons ? ",\n        .WEIGHTS(\"layer" n "_weights.mem\"), .BIAS(\"layer" n "_bias.mem\")," \
        "\n        .THRESHOLD(\"layer" n "_threshold.mem\"), .REST(\"layer" n "_reset.mem\")" : "") ")")
    put("        layer" n " (.clk(clk), .rst(rst), .start(" start ")" (neurons ? ", .first(first), .out_u(u" n ")" : "") \
        ", .in_addr(in_addr" n "),\n        .in_data(in_data" n "), .out_valid(valid" n "), .out_addr(addr" n "), .out_data(data" n \
        "), .done(done" n "));")
    if (!neurons) put("    assign u" n " = 0;")

    size = p["HO"] * p["WO"] * p["O"]
    from = "test_bench.network."
    tests = tests "    golden #(.LAYER(" n "), .NAME(\"" $2 "\"), .NEURONS(" neurons "), .BITS(" bits "), .U_BITS(" u_bits \
        "), .OUTPUTS(" size "), .WO(" p["WO"] "), .O(" p["O"] "),\n        .TAPS(" p["KH"] * p["KW"] * (neurons ? p["C"] : 1) "), " \
        steps ") golden" n " (.clk(clk), .ended(ended), .step(step),\n        .start(" from "layer" n ".start), .done(" from "done" n \
        "), .valid(" from "valid" n "), .addr(" from "addr" n "),\n        .data(" from "data" n "), .u(" from "u" n "));\n"
    last = n
    start = "done" n
}
END {
    printf "// Written by examples/hdl: the layers of an export, one after the other at every time step.\n" \
        "module spiking_network (\n    input wire clk, input wire rst,\n" \
        "    input wire start, input wire first, // of a time step; the first one of a sample\n" \
        "    output wire [31:0] in_addr, input wire [%d:0] in_data,\n    output wire done,\n" \
        "    output wire out_valid, output wire [31:0] out_addr, output wire signed [%d:0] out_u // of the last layer\n);\n%s\n" \
        "    assign done = done%s, out_valid = valid%s, out_addr = addr%s, out_u = u%s;\nendmodule\n", \
        in_bits - 1, u_bits - 1, design, last, last, last, last > network
    printf "module checks (input wire clk, input wire ended, input wire [31:0] step);\n%sendmodule\n", tests > checks
}
