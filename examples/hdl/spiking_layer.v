// A convolution (or a dense layer: a convolution whose kernel is its whole input) with the neurons behind it. One
// multiply-accumulate a cycle, one output after the other: HO WO O (KH KW C + 1) + 1 cycles a time step. It is an example
// to start from and to check others against, not a product: a real design puts many of these side by side, and skips the
// inputs that are silent.
//
// Inputs are read as [h][w][c], weights as [kh][kw][c][o], outputs appear as [ho][wo][o]. Memories are read in the same
// cycle; a block memory with a register behind it costs one cycle more an output.
module spiking_layer #(
    parameter H = 1, W = 1, C = 1, HO = 1, WO = 1, O = 1,
    parameter KH = 1, KW = 1, SH = 1, SW = 1, PH = 0, PW = 0, DH = 1, DW = 1,
    parameter IN_BITS = 1, IN_SIGNED = 0, W_BITS = 8, SUM_BITS = 16, U_BITS = 16,
    parameter FRACTION = 0, SHIFT = 1, LEAK = 0, HARD = 0,
    parameter WEIGHTS = "", BIAS = "", THRESHOLD = "", REST = "" // .mem files; a test bench may fill the memories itself
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
    output reg out_spike,
    output reg done               // of the time step, for one cycle
);
    localparam TAPS = KH * KW * C;
    localparam OUTPUTS = HO * WO * O;
    reg signed [W_BITS-1:0] weights[0:TAPS*O-1];
    reg signed [31:0] bias[0:O-1];
    reg signed [31:0] threshold[0:O-1];
    reg signed [31:0] rest[0:O-1];
    reg signed [U_BITS-1:0] potential[0:OUTPUTS-1];

    initial begin
        if (WEIGHTS != "") $readmemh(WEIGHTS, weights);
        if (BIAS != "") $readmemh(BIAS, bias);
        if (THRESHOLD != "") $readmemh(THRESHOLD, threshold);
        if (REST != "") $readmemh(REST, rest);
    end

    localparam IDLE = 2'd0, SUM = 2'd1, FIRE = 2'd2;
    reg [1:0] state;
    reg anew;
    reg [31:0] ho, wo, o, kh, kw, c, tap, at; // `tap` counts taps, `at` outputs
    reg signed [SUM_BITS-1:0] sum;

    // where this tap reads, and whether it lies in the input
    wire signed [31:0] h = $signed(ho) * SH - PH + $signed(kh) * DH;
    wire signed [31:0] w = $signed(wo) * SW - PW + $signed(kw) * DW;
    wire is_inside = h >= 0 && h < H && w >= 0 && w < W;
    assign in_addr = is_inside ? (h * W + w) * C + c : 0;
    wire signed [IN_BITS:0] x = {IN_SIGNED ? in_data[IN_BITS-1] : 1'b0, in_data};
    wire signed [W_BITS-1:0] weight = weights[tap * O + o];
    wire signed [SUM_BITS-1:0] product = x * weight;

    wire signed [U_BITS-1:0] u;
    wire spike;
    lif_neuron #(.U_BITS(U_BITS), .SUM_BITS(SUM_BITS), .FRACTION(FRACTION), .SHIFT(SHIFT), .LEAK(LEAK), .HARD(HARD)) neuron (
        .first(anew), .u_prev(potential[at]), .sum(sum), .bias(bias[o]), .threshold(threshold[o]), .rest(rest[o]),
        .u(u), .spike(spike));

    always @(posedge clk) begin
        out_valid <= 1'b0;
        done <= 1'b0;
        if (rst) begin
            state <= IDLE;
        end else case (state)
            IDLE: if (start) begin
                {ho, wo, o, kh, kw, c, tap, at} <= 256'd0;
                sum <= 0;
                anew <= first;
                state <= SUM;
            end
            SUM: begin
                if (is_inside) sum <= sum + product;
                tap <= tap + 1;
                c <= c + 1;
                if (c == C - 1) begin
                    c <= 0;
                    kw <= kw + 1;
                    if (kw == KW - 1) begin
                        kw <= 0;
                        kh <= kh + 1;
                    end
                end
                if (tap == TAPS - 1) state <= FIRE;
            end
            FIRE: begin
                potential[at] <= u;
                out_valid <= 1'b1;
                out_addr <= at;
                out_u <= u;
                out_spike <= spike;
                {kh, kw, c, tap} <= 128'd0;
                sum <= 0;
                at <= at + 1;
                o <= o + 1;
                if (o == O - 1) begin
                    o <= 0;
                    wo <= wo + 1;
                    if (wo == WO - 1) begin
                        wo <= 0;
                        ho <= ho + 1;
                    end
                end
                done <= at == OUTPUTS - 1;
                state <= at == OUTPUTS - 1 ? IDLE : SUM;
            end
            default: state <= IDLE;
        endcase
    end
endmodule
