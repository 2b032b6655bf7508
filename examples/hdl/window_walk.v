// Walks over the outputs of a layer, and for each of them over the taps of its window: a tap a cycle, and a cycle in which
// the output is complete. HO WO O (taps + 1) + 1 cycles a time step. Convolutions, dense layers (convolutions whose kernel
// is their whole input) and pools have it in common. Inputs are addressed as [h][w][c], outputs as [ho][wo][o].
module window_walk #(
    parameter H = 1, W = 1, C = 1, HO = 1, WO = 1, O = 1,
    parameter KH = 1, KW = 1, SH = 1, SW = 1, PH = 0, PW = 0, DH = 1, DW = 1,
    parameter POOL = 0            // its taps are those of one channel, that of the output
) (
    input wire clk,
    input wire rst,
    input wire start,             // of a time step, for one cycle
    output wire [31:0] in_addr,
    output wire reads,            // this cycle has a tap that lies in the input
    output wire fires,            // this cycle completes output `at`
    output wire [31:0] tap,       // number of the tap, of the channel of the output, and of the output
    output wire [31:0] channel,
    output wire [31:0] at,
    output reg done               // of the time step, for one cycle
);
    localparam DEPTH = POOL ? 1 : C;
    localparam TAPS = KH * KW * DEPTH;
    localparam OUTPUTS = HO * WO * O;
    localparam IDLE = 2'd0, TAP = 2'd1, FIRE = 2'd2;
    reg [1:0] state;
    reg [$clog2(HO + 1)-1:0] ho;
    reg [$clog2(WO + 1)-1:0] wo;
    reg [$clog2(O + 1)-1:0] o;
    reg [$clog2(KH + 1)-1:0] kh;
    reg [$clog2(KW + 1)-1:0] kw;
    reg [$clog2(DEPTH + 1)-1:0] c;
    reg [$clog2(TAPS + 1)-1:0] taps;
    reg [$clog2(OUTPUTS + 1)-1:0] outputs;

    wire signed [31:0] h = $signed({1'b0, ho}) * SH - PH + $signed({1'b0, kh}) * DH;
    wire signed [31:0] w = $signed({1'b0, wo}) * SW - PW + $signed({1'b0, kw}) * DW;
    wire is_inside = h >= 0 && h < H && w >= 0 && w < W;
    assign in_addr = is_inside ? (h * W + w) * C + (POOL ? o : c) : 0;
    assign reads = state == TAP && is_inside;
    assign fires = state == FIRE;
    assign tap = taps, channel = o, at = outputs;

    always @(posedge clk) begin
        done <= 1'b0;
        if (rst) begin
            state <= IDLE;
        end else case (state)
            IDLE: if (start) begin
                {ho, wo, o, kh, kw, c, taps, outputs} <= 0;
                state <= TAP;
            end
            TAP: begin
                taps <= taps + 1'b1;
                c <= c + 1'b1;
                if (c == DEPTH - 1) begin
                    c <= 0;
                    kw <= kw + 1'b1;
                    if (kw == KW - 1) begin
                        kw <= 0;
                        kh <= kh + 1'b1;
                    end
                end
                if (taps == TAPS - 1) state <= FIRE;
            end
            FIRE: begin
                {kh, kw, c, taps} <= 0;
                outputs <= outputs + 1'b1;
                o <= o + 1'b1;
                if (o == O - 1) begin
                    o <= 0;
                    wo <= wo + 1'b1;
                    if (wo == WO - 1) begin
                        wo <= 0;
                        ho <= ho + 1'b1;
                    end
                end
                done <= outputs == OUTPUTS - 1;
                state <= outputs == OUTPUTS - 1 ? IDLE : TAP;
            end
            default: state <= IDLE;
        endcase
    end
endmodule
