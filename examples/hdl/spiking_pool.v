// A pool: the sum over a window (an average, whose division the thresholds of the next layer have taken over), or with
// OR whether any neuron of the window fires. One input a cycle: HO WO C (KH KW + 1) + 1 cycles a time step.
module spiking_pool #(
    parameter H = 1, W = 1, C = 1, HO = 1, WO = 1,
    parameter KH = 1, KW = 1, SH = 1, SW = 1, PH = 0, PW = 0,
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
    output reg done
);
    localparam TAPS = KH * KW;
    localparam OUTPUTS = HO * WO * C;
    localparam IDLE = 2'd0, SUM = 2'd1, WRITE = 2'd2;
    reg [1:0] state;
    reg [31:0] ho, wo, c, kh, kw, tap, at;
    reg signed [SUM_BITS-1:0] sum;

    wire signed [31:0] h = $signed(ho) * SH - PH + $signed(kh);
    wire signed [31:0] w = $signed(wo) * SW - PW + $signed(kw);
    wire is_inside = h >= 0 && h < H && w >= 0 && w < W;
    assign in_addr = is_inside ? (h * W + w) * C + c : 0;
    wire signed [IN_BITS:0] x = {IN_SIGNED ? in_data[IN_BITS-1] : 1'b0, in_data};

    always @(posedge clk) begin
        out_valid <= 1'b0;
        done <= 1'b0;
        if (rst) begin
            state <= IDLE;
        end else case (state)
            IDLE: if (start) begin
                {ho, wo, c, kh, kw, tap, at} <= 224'd0;
                sum <= 0;
                state <= SUM;
            end
            SUM: begin
                if (is_inside) sum <= OR ? sum | x : sum + x;
                tap <= tap + 1;
                kw <= kw + 1;
                if (kw == KW - 1) begin
                    kw <= 0;
                    kh <= kh + 1;
                end
                if (tap == TAPS - 1) state <= WRITE;
            end
            WRITE: begin
                out_valid <= 1'b1;
                out_addr <= at;
                out_data <= sum;
                {kh, kw, tap} <= 96'd0;
                sum <= 0;
                at <= at + 1;
                c <= c + 1;
                if (c == C - 1) begin
                    c <= 0;
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
