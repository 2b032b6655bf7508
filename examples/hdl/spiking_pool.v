// A pool: the sum over a window (an average, whose division the thresholds of the next layer have taken over), or with
// OR whether any neuron of the window fires. One input a cycle, as window_walk.v walks.
module spiking_pool #(
    parameter H = 1, W = 1, C = 1, HO = 1, WO = 1, O = 1, // O is C
    parameter KH = 1, KW = 1, SH = 1, SW = 1, PH = 0, PW = 0, DH = 1, DW = 1,
    parameter IN_BITS = 1, IN_SIGNED = 0, SUM_BITS = 8, OR = 0
) (
    input wire clk,
    input wire rst,
    input wire start,
    output wire [31:0] in_addr,
    input wire [IN_BITS-1:0] in_data,
    output reg out_valid,
    output reg [31:0] out_addr,
    output reg signed [SUM_BITS-1:0] out_data,
    output wire done
);
    wire reads, fires;
    wire [31:0] at;
    window_walk #(.H(H), .W(W), .C(C), .HO(HO), .WO(WO), .O(O), .KH(KH), .KW(KW), .SH(SH), .SW(SW), .PH(PH), .PW(PW),
        .DH(DH), .DW(DW), .POOL(1)) walk (.clk(clk), .rst(rst), .start(start), .in_addr(in_addr), .reads(reads),
        .fires(fires), .tap(), .channel(), .at(at), .done(done));

    reg signed [SUM_BITS-1:0] sum;
    wire signed [IN_BITS:0] x = {IN_SIGNED ? in_data[IN_BITS-1] : 1'b0, in_data};

    always @(posedge clk) begin
        out_valid <= fires && !rst;
        if (start || fires) sum <= 0;
        else if (reads) sum <= OR ? sum | x : sum + x;
        if (fires) begin
            out_addr <= at;
            out_data <= sum;
        end
    end
endmodule
