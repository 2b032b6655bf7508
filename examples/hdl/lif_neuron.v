// One update of a leaky integrate-and-fire neuron in integers, combinational. docs/NUMERICS.md, "Integers", has the
// equations; every width and constant comes from the manifest of `spikeport export --hdl`.
module lif_neuron #(
    parameter U_BITS = 16,   // potential, saturating
    parameter SUM_BITS = 16, // sum of products
    parameter FRACTION = 0,  // the sum is multiplied by 2^FRACTION
    parameter SHIFT = 1,     // v leaks to v >> SHIFT, or with LEAK to v - (v >> SHIFT); >> rounds down
    parameter LEAK = 0,
    parameter HARD = 0       // a reset to `rest`, else the threshold is subtracted
) (
    input wire first, // time step of a sample
    input wire signed [U_BITS-1:0] u_prev,
    input wire signed [SUM_BITS-1:0] sum,
    input wire signed [31:0] bias,
    input wire signed [31:0] threshold,
    input wire signed [31:0] rest,
    output wire signed [U_BITS-1:0] u,
    output wire spike
);
    localparam WIDE = 48; // more than any sum of the terms below
    localparam signed [WIDE-1:0] MOST = (48'sd1 <<< (U_BITS - 1)) - 48'sd1;
    localparam signed [WIDE-1:0] LEAST = -MOST - 48'sd1;

    wire signed [WIDE-1:0] old_u = u_prev, limit = threshold, start = rest, scaled = sum, more = bias;
    wire fired = old_u >= limit;
    wire signed [WIDE-1:0] v = first ? (HARD ? start : 48'sd0) :
                               fired ? (HARD ? start : old_u - limit) : old_u;
    wire signed [WIDE-1:0] part = v >>> SHIFT;
    wire signed [WIDE-1:0] kept = LEAK ? v - part : part;
    wire signed [WIDE-1:0] total = kept + (scaled <<< FRACTION) + more;
    wire signed [WIDE-1:0] held = total > MOST ? MOST : total < LEAST ? LEAST : total;

    assign u = held[U_BITS-1:0];
    assign spike = held >= limit;
endmodule
