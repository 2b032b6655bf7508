// A convolution or a dense layer with the neurons behind it: one multiply-accumulate a cycle, one output after the other, as
// window_walk.v walks. It is an example to start from and to check others against, not a product: a real design puts many of
// these side by side, and skips the inputs that are silent.
//
// Weights are read as [kh][kw][c][o]. Memories are read in the same cycle; a block memory with a register behind it costs
// one cycle more an output.
module spiking_layer #(
    parameter H = 1, W = 1, C = 1, HO = 1, WO = 1, O = 1,
    parameter KH = 1, KW = 1, SH = 1, SW = 1, PH = 0, PW = 0, DH = 1, DW = 1,
    parameter IN_BITS = 1, IN_SIGNED = 0, W_BITS = 8, SUM_BITS = 16, U_BITS = 16,
    parameter FRACTION = 0, SHIFT = 1, LEAK = 0, HARD = 0,
    parameter WEIGHTS = "", BIAS = "", THRESHOLD = "", REST = "" // .mem files; REST where HARD is 1
) (
    input wire clk,
    input wire rst,
    input wire start,             // of a time step, for one cycle
    input wire first,             // the first of a sample: potentials start anew
    output wire [31:0] in_addr,
    input wire [IN_BITS-1:0] in_data,
    output reg out_valid,
    output reg [31:0] out_addr,
    output reg signed [U_BITS-1:0] out_u,
    output reg out_data,          // a spike
    output wire done              // of the time step, for one cycle
);
    reg signed [W_BITS-1:0] weights[0:KH*KW*C*O-1];
    reg signed [31:0] bias[0:O-1];
    reg signed [31:0] threshold[0:O-1];
    reg signed [31:0] rest[0:O-1];
    reg signed [U_BITS-1:0] potential[0:HO*WO*O-1];

    initial begin
        if (WEIGHTS != "") $readmemh(WEIGHTS, weights);
        if (BIAS != "") $readmemh(BIAS, bias);
        if (THRESHOLD != "") $readmemh(THRESHOLD, threshold);
        if (HARD) $readmemh(REST, rest);
    end

    wire reads, fires;
    wire [31:0] tap, o, at;
    window_walk #(.H(H), .W(W), .C(C), .HO(HO), .WO(WO), .O(O), .KH(KH), .KW(KW), .SH(SH), .SW(SW), .PH(PH), .PW(PW),
        .DH(DH), .DW(DW)) walk (.clk(clk), .rst(rst), .start(start), .in_addr(in_addr), .reads(reads), .fires(fires),
        .tap(tap), .channel(o), .at(at), .done(done));

    reg anew;
    reg signed [SUM_BITS-1:0] sum;
    wire signed [IN_BITS:0] x = {IN_SIGNED ? in_data[IN_BITS-1] : 1'b0, in_data};
    wire signed [W_BITS-1:0] weight = weights[tap * O + o];
    wire signed [SUM_BITS-1:0] product = x * weight;
    wire signed [U_BITS-1:0] u;
    wire spike;
    lif_neuron #(.U_BITS(U_BITS), .SUM_BITS(SUM_BITS), .FRACTION(FRACTION), .SHIFT(SHIFT), .LEAK(LEAK), .HARD(HARD)) neuron (
        .first(anew), .u_prev(potential[at]), .sum(sum), .bias(bias[o]), .threshold(threshold[o]), .rest(rest[o]),
        .u(u), .spike(spike));

    always @(posedge clk) begin
        out_valid <= fires && !rst;
        if (start) anew <= first;
        if (start || fires) sum <= 0;
        else if (reads) sum <= sum + product;
        if (fires) begin
            potential[at] <= u;
            out_addr <= at;
            out_u <= u;
            out_data <= spike;
        end
    end
endmodule
